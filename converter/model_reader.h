// A model in any format that is understood.
#ifndef TIED_CONVERTER_MODEL_READER_H_
#define TIED_CONVERTER_MODEL_READER_H_

#include <string>

#include "converter/graph.h"

namespace tied::converter {

// Reads an ONNX file (graph.h) or a safetensors model (safetensors.h), whichever the path leads to.
Graph ReadModel(const std::string& path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_MODEL_READER_H_
