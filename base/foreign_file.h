// Recognises files in other formats that are passed as a model.
#ifndef TIED_BASE_FOREIGN_FILE_H_
#define TIED_BASE_FOREIGN_FILE_H_

#include <string>

namespace tied {

// Describes the file at `path` by its first bytes, and what to do about it: "is a GGUF file …". "" if it may be ONNX,
// safetensors or JSON. Throws CommandError if it cannot be read.
std::string DescribeForeignFile(const std::string& path);

// Throws CommandError with that description unless it is "".
void RefuseForeignFile(const std::string& path);

}  // namespace tied

#endif  // TIED_BASE_FOREIGN_FILE_H_
