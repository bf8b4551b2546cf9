// A model in any format that is understood.
#ifndef TIED_CONVERTER_MODEL_READER_H_
#define TIED_CONVERTER_MODEL_READER_H_

#include <set>
#include <string>

#include "converter/graph/graph.h"
#include "converter/safetensors/safetensors.h"

namespace tied::converter {

// Reads an ONNX file (onnx/import.h) or a safetensors model (safetensors.h), whichever the path leads to. `choice` is
// for safetensors alone. Throws ConvertError that says what else the path leads to.
Graph ReadModel(const std::string& path, const TableChoice& choice = {});

// All files of a model that was read so.
std::set<std::string> FilesOfModel(const std::string& path, const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_MODEL_READER_H_
