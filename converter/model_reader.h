// Reads a model in any supported format.
#ifndef TIED_CONVERTER_MODEL_READER_H_
#define TIED_CONVERTER_MODEL_READER_H_

#include <set>
#include <string>

#include "converter/graph/graph.h"
#include "converter/safetensors/safetensors.h"

namespace tied::converter {

// Reads an ONNX file (onnx/import.h) or a safetensors model (safetensors.h). choice: only for safetensors. Throws
// ConvertError that describes any other file or folder.
Graph ReadModel(const std::string& path, const TableChoice& choice = {});

// All files of a model that ReadModel() has read.
std::set<std::string> FilesOfModel(const std::string& path, const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_MODEL_READER_H_
