#include "base/foreign_file.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "base/error.h"
#include "base/input_file.h"

namespace tied {

namespace {

using namespace std::string_view_literals;

constexpr size_t kSniffedBytes = 1024;

constexpr char kLfsPointer[] =
    "is a Git LFS pointer, not the file itself: run 'git lfs pull' in its repository, or download the file";
constexpr char kPyTorch[] =
    "is a PyTorch checkpoint, which is not supported because it contains Python code: save it as safetensors "
    "(model.save_pretrained(folder, safe_serialization=True)), or export it to ONNX";
constexpr char kHtml[] =
    "is a web page, not a model, such as a login or error page saved under this name: download the file itself";
constexpr char kArchive[] = "is an archive: unpack it and pass the model inside";

struct Magic {
  size_t offset;
  std::string_view bytes;
  const char* description;
};

// No valid ONNX file starts with one of these: as protobuf tags they have wire types or fields that ONNX does not use.
constexpr Magic kMagics[] = {
    {0, "version https://git-lfs"sv, kLfsPointer},
    {0, "version https://hawser"sv, kLfsPointer},
    {0, "GGUF"sv,
     "is a GGUF file of llama.cpp, which is not supported: use the safetensors or ONNX files of the same model"},
    {0, "ggjt"sv, "is a GGML file of llama.cpp, which is not supported: use the safetensors or ONNX files"},
    {0, "\x80\x02"sv, kPyTorch},
    {0, "\x80\x03"sv, kPyTorch},
    {0, "\x80\x04"sv, kPyTorch},
    {0, "\x80\x05"sv, kPyTorch},
    {4, "TFL3"sv,
     "is a TensorFlow Lite model, which is not supported: convert it to ONNX with tf2onnx, or use the safetensors "
     "files"},
    {4, "ORTM"sv, "is in ONNX Runtime's ORT format, which is not supported: use the ONNX file that it was made from"},
    {0, "\x89HDF\r\n"sv, "is an HDF5 file (Keras), which is not supported: export the model to ONNX"},
    {0, "\x93NUMPY"sv, "is a NumPy array, not a model"},
    {0, "\x89TIED"sv, "is already a .tied file"},
    {0, "\x1F\x8B"sv, kArchive},
    {0, "BZh"sv, kArchive},
    {0,
     "\xFD"
     "7zXZ"sv,
     kArchive},
    {0, "7z\xBC\xAF"sv, kArchive},
    {0, "\x28\xB5\x2F\xFD"sv, kArchive},
    {257, "ustar"sv, kArchive},
};

bool Has(std::string_view text, size_t offset, std::string_view part) {
  return text.size() >= offset + part.size() && text.substr(offset, part.size()) == part;
}

std::string Head(const std::string& path) {
  const InputFile file(path);
  std::string head(static_cast<size_t>(std::min<uint64_t>(file.size(), kSniffedBytes)), '\0');
  file.ReadAt(0, head.data(), head.size());
  return head;
}

// torch.save() writes an archive with NAME/data.pkl as its first entry.
const char* DescribeZip(std::string_view head) {
  const bool torch = head.find("data.pkl") != std::string_view::npos ||
                     head.find("constants.pkl") != std::string_view::npos ||
                     head.find(".format_version") != std::string_view::npos;
  if (torch) return kPyTorch;
  return head.find(".npy") != std::string_view::npos ? "is a NumPy archive (.npz), not a model" : kArchive;
}

// Recognises HTML and XML tags in upper or lower case, after a byte order mark or white space.
const char* DescribeMarkup(std::string_view head) {
  if (Has(head, 0, "\xEF\xBB\xBF")) head.remove_prefix(3);
  while (!head.empty() && std::isspace(static_cast<unsigned char>(head.front())) != 0) head.remove_prefix(1);
  std::string start(head.substr(0, 16));
  std::transform(start.begin(), start.end(), start.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const std::string_view tag : {"<!doctype html"sv, "<html"sv, "<head"sv, "<body"sv, "<!--"sv}) {
    if (Has(start, 0, tag)) return kHtml;
  }
  return Has(start, 0, "<?xml") || Has(start, 0, "<error")
             ? "is XML, not a model: a server's error message, or OpenVINO's format; use ONNX or safetensors"
             : "";
}

}  // namespace

std::string DescribeForeignFile(const std::string& path) {
  const std::string head = Head(path);
  if (head.empty()) return "is empty: perhaps its download failed";
  for (const Magic& magic : kMagics) {
    if (Has(head, magic.offset, magic.bytes)) return magic.description;
  }
  if (Has(head, 0, "PK\x03\x04")) return DescribeZip(head);
  return DescribeMarkup(head);
}

void RefuseForeignFile(const std::string& path) {
  const std::string description = DescribeForeignFile(path);
  if (!description.empty()) throw CommandError(path + ": " + description);
}

}  // namespace tied
