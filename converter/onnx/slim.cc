// Copies protobuf's wire format (protobuf.dev/programming-guides/encoding) without the values of large tensors. Field
// numbers are from onnx.proto3.
#include "converter/onnx/slim.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>

#include <climits>
#include <cstdint>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/foreign_file.h"
#include "base/input_file.h"
#include "converter/onnx/parsed_size.h"
#include "converter/onnx/scope.h"

namespace tied::converter {

namespace {

using google::protobuf::io::CodedInputStream;
using google::protobuf::io::CodedOutputStream;
using google::protobuf::io::FileInputStream;

// Values up to this size are copied: shapes, scales, biases.
constexpr uint32_t kMaxCopiedValues = 4096;
constexpr size_t kMaxSlimBytes = 48u << 20;
constexpr int kMaxDepth = 64;
// A parsed graph may take this many bytes, and so many for each byte of the file. Some three copies exist at a time.
constexpr uint64_t kMaxParsedBytes = 16u << 20;
constexpr uint64_t kMaxParsedForEach = 4;

enum class Message { kModel, kGraph, kNode, kAttribute, kTensor, kOther };

// The message type of a field that may contain tensors at any depth.
Message ChildOf(Message parent, int field) {
  switch (parent) {
    case Message::kModel:
      return field == onnx::ModelProto::kGraphFieldNumber ? Message::kGraph : Message::kOther;
    case Message::kGraph:
      if (field == onnx::GraphProto::kNodeFieldNumber) return Message::kNode;
      return field == onnx::GraphProto::kInitializerFieldNumber ? Message::kTensor : Message::kOther;
    case Message::kNode:
      return field == onnx::NodeProto::kAttributeFieldNumber ? Message::kAttribute : Message::kOther;
    case Message::kAttribute:
      if (field == onnx::AttributeProto::kTFieldNumber) return Message::kTensor;
      return field == onnx::AttributeProto::kGFieldNumber ? Message::kGraph : Message::kOther;
    default:
      return Message::kOther;
  }
}

// raw_data and packed float_data both hold the values as little-endian bytes.
bool HoldsValues(Message message, int field) {
  return message == Message::kTensor &&
         (field == onnx::TensorProto::kRawDataFieldNumber || field == onnx::TensorProto::kFloatDataFieldNumber);
}

class Slimmer {
 public:
  Slimmer(CodedInputStream& in, const std::string& path) : in_(in), path_(path) {}

  // Copies one message, which ends at the stream's current limit.
  std::string Copy(Message message, int depth) {
    if (depth > kMaxDepth) Fail("is nested too deeply");
    std::string slim;
    uint64_t skipped_offset = 0;
    uint32_t skipped_length = 0;
    while (const uint32_t tag = in_.ReadTag()) {
      const size_t before = slim.size();
      CopyField(message, tag, depth, &slim, &skipped_offset, &skipped_length);
      total_ += slim.size() - before;
      if (total_ > kMaxSlimBytes) Fail("holds more than 48 MB apart from large tensors");
    }
    if (message == Message::kTensor) CheckOnePlace(slim, skipped_length > 0);
    if (skipped_length > 0) slim += OwnReference(skipped_offset, skipped_length);
    return slim;
  }

 private:
  [[noreturn]] void Fail(const std::string& reason) const {
    throw ConvertError(path_ + ": " + reason + " (near byte " + std::to_string(in_.CurrentPosition()) + ")");
  }

  // Refuses two sets of values, because readers differ in which they use.
  void CheckOnePlace(const std::string& slim, bool skipped) const {
    onnx::TensorProto tensor;
    if (!tensor.ParseFromString(slim) || tensor.data_location() != onnx::TensorProto::EXTERNAL) return;
    if (skipped || !tensor.raw_data().empty() || tensor.float_data_size() > 0) {
      Fail("tensor '" + tensor.name() + "' has its values both in the model and in external data");
    }
  }

  void CopyField(Message message, uint32_t tag, int depth, std::string* out, uint64_t* skipped_offset,
                 uint32_t* skipped_length) {
    const int field = static_cast<int>(tag >> 3);
    uint64_t varint = 0;
    uint32_t fixed32 = 0;
    switch (tag & 7) {
      case 0:
        if (!in_.ReadVarint64(&varint)) Fail("is not an ONNX model: truncated number");
        AppendVarint(out, tag);
        AppendVarint(out, varint);
        return;
      case 1:
        if (!in_.ReadLittleEndian64(&varint)) Fail("is not an ONNX model: truncated number");
        AppendVarint(out, tag);
        Append(out, CodedOutputStream::WriteLittleEndian64ToArray, varint);
        return;
      case 5:
        if (!in_.ReadLittleEndian32(&fixed32)) Fail("is not an ONNX model: truncated number");
        AppendVarint(out, tag);
        Append(out, CodedOutputStream::WriteLittleEndian32ToArray, fixed32);
        return;
      case 2:
        CopyBytes(message, tag, field, depth, out, skipped_offset, skipped_length);
        return;
      default:
        Fail("is not an ONNX model: unknown wire type");
    }
  }

  void CopyBytes(Message message, uint32_t tag, int field, int depth, std::string* out, uint64_t* skipped_offset,
                 uint32_t* skipped_length) {
    uint32_t length = 0;
    if (!in_.ReadVarint32(&length) || length > INT_MAX ||
        (in_.BytesUntilLimit() >= 0 && static_cast<int64_t>(length) > in_.BytesUntilLimit())) {
      Fail("is not an ONNX model, or is truncated");
    }
    if (HoldsValues(message, field) && length > kMaxCopiedValues) {
      if (*skipped_length > 0) Fail("has a tensor with two sets of values");
      *skipped_offset = static_cast<uint64_t>(in_.CurrentPosition());
      *skipped_length = length;
      if (!in_.Skip(static_cast<int>(length))) Fail("is truncated inside a tensor");
      return;
    }
    const Message child = ChildOf(message, field);
    std::string bytes;
    if (child == Message::kOther) {
      if (length > kMaxSlimBytes) Fail("holds more than 48 MB apart from large tensors");
      if (!in_.ReadString(&bytes, static_cast<int>(length))) Fail("is truncated");
    } else {
      const CodedInputStream::Limit limit = in_.PushLimit(static_cast<int>(length));
      bytes = Copy(child, depth + 1);
      if (in_.BytesUntilLimit() != 0) Fail("is not an ONNX model: a message ends early");
      in_.PopLimit(limit);
    }
    AppendVarint(out, tag);
    AppendVarint(out, bytes.size());
    *out += bytes;
  }

  // Not a CodedOutputStream: its destructor allocates, and ends the program if memory runs out.
  template <class Number>
  static void Append(std::string* out, uint8_t* (*write)(Number, uint8_t*), Number number) {
    uint8_t bytes[10];
    out->append(bytes, write(number, bytes));
  }
  static void AppendVarint(std::string* out, uint64_t number) {
    Append(out, CodedOutputStream::WriteVarint64ToArray, number);
  }

  std::string OwnReference(uint64_t offset, uint32_t length) const {
    onnx::TensorProto reference;
    reference.set_data_location(onnx::TensorProto::EXTERNAL);
    const auto add = [&](const char* key, const std::string& value) {
      onnx::StringStringEntryProto* entry = reference.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    };
    add("location", std::filesystem::path(path_).filename().string());
    add("offset", std::to_string(offset));
    add("length", std::to_string(length));
    return reference.SerializeAsString();
  }

  CodedInputStream& in_;
  const std::string& path_;
  size_t total_ = 0;
};

// Refuses a file whose graph takes far more memory than the file is long.
void CheckParsedSize(const std::string& slim, uint64_t file_size, const std::string& path) {
  const std::optional<uint64_t> bytes = ParsedSize(*onnx::ModelProto::descriptor(), slim);
  if (!bytes) throw ConvertError(path + ": is not an ONNX model");
  if (*bytes <= kMaxParsedBytes + kMaxParsedForEach * file_size) return;
  throw ConvertError(path + ": its nodes, attributes and names would take " + std::to_string(*bytes >> 20) +
                     " MB of memory, too much for a file of " + std::to_string(file_size) + " bytes");
}

}  // namespace

onnx::ModelProto ReadSlimModel(const std::string& path) {
  RefuseForeignFile(path);
  const InputFile file(path);
  if (file.size() > INT_MAX) {
    throw ConvertError(path +
                       ": is larger than 2 GB, the limit of protobuf; such models need their weights in an external "
                       "data file");
  }
  FileInputStream stream(file.descriptor(), 1 << 16);
  CodedInputStream in(&stream);
  in.PushLimit(static_cast<int>(file.size()));
  // protobuf treats a read error as the end of the file.
  const auto check_read = [&] {
    if (stream.GetErrno() != 0) throw ConvertError(path + ": cannot read: " + std::strerror(stream.GetErrno()));
  };
  std::string slim;
  try {
    slim = Slimmer(in, path).Copy(Message::kModel, 0);
  } catch (const ConvertError&) {
    check_read();
    throw;
  }
  check_read();
  if (in.BytesUntilLimit() != 0) throw ConvertError(path + ": is not an ONNX model");
  CheckParsedSize(slim, file.size(), path);
  onnx::ModelProto model;
  if (!model.ParseFromString(slim) || !model.has_graph()) throw ConvertError(path + ": is not an ONNX model");
  SortNodes(model.mutable_graph());
  return model;
}

}  // namespace tied::converter
