// Files in the safetensors format (github.com/huggingface/safetensors): which there are, and where tensors lie in them.
#ifndef TIED_CONVERTER_SAFETENSORS_READER_H_
#define TIED_CONVERTER_SAFETENSORS_READER_H_

#include <map>
#include <set>
#include <string>

#include "converter/graph/tensor_ref.h"

namespace tied::converter {

// True for X.safetensors, X.safetensors.index.json, a file whose first bytes are those of the format, and a folder that
// holds one of them.
bool IsSafetensors(const std::string& path);

// The file that `path` means: itself, or in a folder model.safetensors, its index, or the only *.safetensors there.
std::string SafetensorsFileOf(const std::string& path);

// The config.json beside a file.
std::string ConfigPathOf(const std::string& file);

// The file, or all files that an index names. Throws ConvertError where one is missing or in another folder.
std::set<std::string> ShardsOf(const std::string& file);

// The tensors of a model, of all its shards: where they lie. As strict as the format's own library: throws ConvertError
// for a header that does not begin with '{', names a tensor twice, or whose ranges overlap, leave holes, or do not end
// with the file.
std::map<std::string, TensorRef> ReadSafetensors(const std::string& path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SAFETENSORS_READER_H_
