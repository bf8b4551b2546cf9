#include "converter/model_reader.h"

#include "converter/safetensors.h"

namespace tied::converter {

Graph ReadModel(const std::string& path) { return IsSafetensors(path) ? ReadSafetensorsGraph(path) : ReadGraph(path); }

}  // namespace tied::converter
