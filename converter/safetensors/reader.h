// Finds files in the safetensors format (github.com/huggingface/safetensors), and the tensors in them.
#ifndef TIED_CONVERTER_SAFETENSORS_READER_H_
#define TIED_CONVERTER_SAFETENSORS_READER_H_

#include <map>
#include <set>
#include <string>

#include "converter/graph/tensor_ref.h"

namespace tied::converter {

// True for X.safetensors, X.safetensors.index.json, a file that starts like the format, and a folder that contains one
// of them.
bool IsSafetensors(const std::string& path);

// The file for `path`: the file itself; or in a folder model.safetensors, its index, or the only *.safetensors.
std::string SafetensorsFileOf(const std::string& path);

// The config.json beside a file.
std::string ConfigPathOf(const std::string& file);

// The file itself, or all files that an index lists. Throws ConvertError if one is missing or in a different folder.
std::set<std::string> ShardsOf(const std::string& file);

// References to the tensors in all shards of a model. As strict as the format's library: throws ConvertError if a
// header does not start with '{' or names a tensor twice, or if its ranges overlap, leave holes, or do not end with the
// file.
std::map<std::string, TensorRef> ReadSafetensors(const std::string& path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_READER_H_
