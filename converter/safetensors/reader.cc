#include "converter/safetensors/reader.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/beside.h"
#include "base/error.h"
#include "base/foreign_file.h"
#include "base/input_file.h"
#include "converter/safetensors/json.h"

namespace tied::converter {

namespace {

namespace fs = std::filesystem;

constexpr char kEnd[] = ".safetensors";
constexpr char kIndexEnd[] = ".safetensors.index.json";

bool EndsWith(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// Requires an integer that also fits in int64. The library would convert 1.5, true and -1.
uint64_t Size(const Json& number, const std::string& what) {
  if (number.is_number_unsigned() && number.get<uint64_t>() <= INT64_MAX) return number.get<uint64_t>();
  throw ConvertError(what + ": shape and data_offsets must be integers of at least 0");
}

ElementType TypeOf(const std::string& dtype) {
  static const std::map<std::string, ElementType> kTypes = {{"F32", ElementType::kFloat32},
                                                            {"F16", ElementType::kFloat16},
                                                            {"BF16", ElementType::kBFloat16},
                                                            {"I64", ElementType::kInt64},
                                                            {"I32", ElementType::kInt32}};
  const auto found = kTypes.find(dtype);
  return found == kTypes.end() ? ElementType::kOther : found->second;
}

// A file: eight bytes for the length of the header, the JSON header, the values.
class Shard {
 public:
  Shard(const std::string& path, std::map<std::string, TensorRef>* tensors) : path_(path), tensors_(tensors) {}

  void Read() {
    const std::string text = ReadHeader();
    const Json header = ParseJson(text, path_);
    for (const auto& [name, entry] : header.items()) {
      name == "__metadata__" ? CheckMetadata(entry) : Add(name, entry);
    }
    CheckRanges();
  }

 private:
  std::string ReadHeader() {
    RefuseForeignFile(path_);
    const InputFile file(path_);
    uint64_t length = 0;
    if (file.size() < sizeof length) throw ConvertError(path_ + ": is not a safetensors file: it is too short");
    file.ReadAt(0, &length, sizeof length);
    if (length > kMaxJsonBytes || length > file.size() - sizeof length) {
      throw ConvertError(path_ + ": is not a safetensors file or is truncated: its header would have " +
                         std::to_string(length) + " bytes");
    }
    std::string text(static_cast<size_t>(length), '\0');
    file.ReadAt(sizeof length, text.data(), text.size());
    if (text.empty() || text[0] != '{') {
      throw ConvertError(path_ + ": is not a safetensors file: its header does not start with '{'");
    }
    data_ = sizeof length + length;
    size_ = file.size() - data_;
    return text;
  }

  void CheckMetadata(const Json& metadata) const {
    const bool texts = metadata.is_object() && std::all_of(metadata.begin(), metadata.end(),
                                                           [](const Json& value) { return value.is_string(); });
    if (!texts) throw ConvertError(path_ + ": has a __metadata__ that does not map names to texts");
  }

  void Add(const std::string& name, const Json& entry) {
    const std::string what = path_ + ": tensor '" + name + "'";
    TensorRef tensor;
    tensor.name = name;
    tensor.path = path_;
    uint64_t begin = 0, end = 0;
    try {
      const Json& offsets = entry.at("data_offsets");
      if (offsets.size() != 2) throw ConvertError(what + ": has data_offsets that are not two numbers");
      begin = Size(offsets.at(0), what);
      end = Size(offsets.at(1), what);
      for (const Json& dim : entry.at("shape")) tensor.dims.push_back(static_cast<int64_t>(Size(dim, what)));
      tensor.file_type = entry.at("dtype").get<std::string>();
      tensor.type = TypeOf(tensor.file_type);
    } catch (const Json::exception&) {
      throw ConvertError(what + ": has no dtype, shape and data_offsets");
    }
    if (begin > end || end > size_) throw ConvertError(what + ": lies beyond the end of the file, which is truncated");
    tensor.onnx_type = static_cast<int>(tensor.type);
    tensor.offset = data_ + begin;
    tensor.length = end - begin;
    if (tensor.type != ElementType::kOther) {
      const uint64_t expected = CheckedBytes(tensor.dims, ElementSize(tensor.type), what);
      if (expected != tensor.length) {
        throw ConvertError(what + " has " + std::to_string(tensor.length) + " bytes; its shape needs " +
                           std::to_string(expected));
      }
    }
    ranges_.push_back({begin, end, name});
    if (!tensors_->emplace(name, std::move(tensor)).second) throw ConvertError(what + ": is in two files");
  }

  void CheckRanges() {
    std::sort(ranges_.begin(), ranges_.end());
    uint64_t end = 0;
    for (const Range& range : ranges_) {
      if (range.begin != end) {
        throw ConvertError(path_ + ": tensor '" + range.name +
                           (range.begin < end ? "' overlaps the one before it" : "' leaves a hole before it"));
      }
      end = range.end;
    }
    if (end == size_) return;
    throw ConvertError(path_ + ": has " + std::to_string(size_ - end) + " bytes after the last tensor");
  }

  struct Range {
    uint64_t begin, end;  // in the values
    std::string name;
    bool operator<(const Range& other) const { return std::pair(begin, end) < std::pair(other.begin, other.end); }
  };

  const std::string path_;
  std::map<std::string, TensorRef>* tensors_;
  std::vector<Range> ranges_;
  uint64_t data_ = 0;  // offset of the values
  uint64_t size_ = 0;  // of all values
};

bool LooksLikeSafetensors(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) return false;
  const InputFile file(path);
  char head[9] = {};
  if (file.size() < sizeof head) return false;
  file.ReadAt(0, head, sizeof head);
  uint64_t length = 0;
  std::copy_n(head, sizeof length, reinterpret_cast<char*>(&length));
  return length <= kMaxJsonBytes && head[8] == '{';
}

}  // namespace

std::string SafetensorsFileOf(const std::string& path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return path;
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    const fs::path file = fs::path(path) / name;
    if (fs::exists(file, ignored)) return file.string();
  }
  for (const char* end : {kIndexEnd, kEnd}) {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(path, ignored)) {
      if (EndsWith(entry.path().string(), end)) found.push_back(entry.path().string());
    }
    if (found.size() == 1) return found[0];
  }
  return path;
}

std::string ConfigPathOf(const std::string& file) {
  return (fs::absolute(file).parent_path() / "config.json").string();
}

bool IsSafetensors(const std::string& path) {
  const std::string file = SafetensorsFileOf(path);
  return EndsWith(file, kEnd) || EndsWith(file, kIndexEnd) || LooksLikeSafetensors(file);
}

std::set<std::string> ShardsOf(const std::string& file) {
  if (!EndsWith(file, kIndexEnd)) return {file};
  std::set<std::string> shards, missing;
  const Json index = ReadJson(file);
  for (const auto& [tensor, shard] : Member<std::map<std::string, std::string>>(index, "weight_map", {}, file)) {
    if (shard.empty() || fs::path(shard).filename() != shard || shard == "..") {
      throw ConvertError(file + ": tensor '" + tensor + "': shard '" + shard + "' is not a file name");
    }
    const std::string path = (fs::absolute(file).parent_path() / shard).string();
    std::error_code ignored;
    if (!fs::exists(path, ignored)) {
      missing.insert(shard);
    } else {
      (void)FileBeside(file, shard, file + ": tensor '" + tensor + "': shard");
    }
    shards.insert(path);
  }
  if (shards.empty()) throw ConvertError(file + ": lists no tensor");
  if (missing.empty()) return shards;
  throw ConvertError(file + ": lists the parts of a model, but " + std::to_string(missing.size()) + " of " +
                     std::to_string(shards.size()) + " are not beside it: download '" + *missing.begin() + "'" +
                     (missing.size() > 1 ? " and the others" : ""));
}

std::map<std::string, TensorRef> ReadSafetensors(const std::string& path) {
  std::map<std::string, TensorRef> tensors;
  for (const std::string& shard : ShardsOf(SafetensorsFileOf(path))) Shard(shard, &tensors).Read();
  return tensors;
}

}  // namespace tied::converter
