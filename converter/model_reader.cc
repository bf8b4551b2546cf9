#include "converter/model_reader.h"

#include <filesystem>
#include <vector>

#include "base/error.h"
#include "converter/onnx/import.h"

namespace tied::converter {

namespace {

namespace fs = std::filesystem;

// Refuses a folder without a safetensors model, with a message about its content.
[[noreturn]] void RefuseFolder(const std::string& path) {
  std::string onnx, other;
  size_t count = 0;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename();
    const std::string extension = entry.path().extension();
    if (extension == ".onnx") onnx += (count++ > 0 ? ", '" : "'") + name + "'";
    if (extension == ".bin" || extension == ".pt" || extension == ".pth" || extension == ".gguf") other = name;
  }
  if (count > 0) {
    throw ConvertError(path + ": is a folder of ONNX files: pass one of " + onnx +
                       ", or split whole exports with 'tied-convert split'");
  }
  if (!other.empty()) {
    throw ConvertError(path + ": has no safetensors model, and '" + other +
                       "' is in an unsupported format: save the model as safetensors, or export it to ONNX");
  }
  throw ConvertError(path + ": has no model.safetensors and no model.safetensors.index.json");
}

}  // namespace

Graph ReadModel(const std::string& path, const TableChoice& choice) {
  if (IsSafetensors(path)) return ReadSafetensorsGraph(path, choice);
  std::error_code ignored;
  if (fs::is_directory(path, ignored)) RefuseFolder(path);
  if (choice.Any()) throw ConvertError(path + ": --table and its options are only for safetensors, not for ONNX");
  return ReadGraph(path);
}

std::set<std::string> FilesOfModel(const std::string& path, const Graph& graph) {
  if (IsSafetensors(path)) return FilesOfSafetensors(path);
  std::set<std::string> files = FilesOf(graph);
  files.insert(path);
  return files;
}

}  // namespace tied::converter
