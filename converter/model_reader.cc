#include "converter/model_reader.h"

#include "converter/safetensors/safetensors.h"

namespace tied::converter {

Graph ReadModel(const std::string& path) { return IsSafetensors(path) ? ReadSafetensorsGraph(path) : ReadGraph(path); }

std::set<std::string> FilesOfModel(const std::string& path, const Graph& graph) {
  if (IsSafetensors(path)) return FilesOfSafetensors(path);
  std::set<std::string> files = FilesOf(graph);
  files.insert(path);
  return files;
}

}  // namespace tied::converter
