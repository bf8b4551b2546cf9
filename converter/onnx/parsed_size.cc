// Reads protobuf's wire format (protobuf.dev/programming-guides/encoding) with the types that the descriptors give.
#include "converter/onnx/parsed_size.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/message.h>

#include <algorithm>
#include <climits>
#include <map>

namespace tied::converter {

namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::io::CodedInputStream;

constexpr int kMaxDepth = 100;     // protobuf's limit
constexpr uint64_t kPointer = 16;  // in an array that grows by doubling
constexpr uint64_t kUnknownField = 64;
constexpr uint64_t kNumber = 8;  // of a repeated field; the largest type

// What malloc() takes for an object.
constexpr uint64_t Allocated(uint64_t bytes) { return (bytes + 8 + 15) / 16 * 16; }

uint64_t SizeOfString(uint64_t length) {
  constexpr uint64_t kInside = 15;  // characters that std::string holds itself
  return Allocated(sizeof(std::string)) + (length > kInside ? Allocated(length + 1) : 0);
}

class Counter {
 public:
  explicit Counter(CodedInputStream& in) : in_(in) {}

  // Counts one message, which ends at the stream's current limit. Returns false if it is malformed.
  bool Add(const Descriptor& type, int depth) {
    if (depth > kMaxDepth) return false;
    bytes_ += Allocated(SizeOf(type));
    while (const uint32_t tag = in_.ReadTag()) {
      if (!AddField(type.FindFieldByNumber(static_cast<int>(tag >> 3)), tag & 7, depth)) return false;
    }
    return in_.ConsumedEntireMessage();
  }

  uint64_t bytes() const { return bytes_; }

 private:
  // field: null if the type has no such field.
  bool AddField(const FieldDescriptor* field, uint32_t wire_type, int depth) {
    uint64_t number = 0;
    uint32_t short_number = 0;
    // Enumerations are kept among the unknown fields if their number has no name.
    const bool unknown = field == nullptr || field->type() == FieldDescriptor::TYPE_ENUM;
    bytes_ += unknown ? kUnknownField : field->is_repeated() ? kNumber : 0;
    switch (wire_type) {
      case 0:
        return in_.ReadVarint64(&number);
      case 1:
        return in_.ReadLittleEndian64(&number);
      case 2:
        return AddBytes(field, depth);
      case 5:
        return in_.ReadLittleEndian32(&short_number);
      default:
        return false;
    }
  }

  bool AddBytes(const FieldDescriptor* field, int depth) {
    uint32_t length = 0;
    if (!in_.ReadVarint32(&length) || length > INT_MAX || static_cast<int64_t>(length) > in_.BytesUntilLimit()) {
      return false;
    }
    if (field != nullptr && field->type() == FieldDescriptor::TYPE_MESSAGE) {
      bytes_ += kPointer;
      const CodedInputStream::Limit limit = in_.PushLimit(static_cast<int>(length));
      if (!Add(*field->message_type(), depth + 1)) return false;
      in_.PopLimit(limit);
      return true;
    }
    const void* data = nullptr;
    int size = 0;
    in_.GetDirectBufferPointerInline(&data, &size);
    const bool numbers = field != nullptr && field->is_packable();
    bytes_ +=
        numbers ? SizeOfPacked(*field, static_cast<const uint8_t*>(data), length) : kPointer + SizeOfString(length);
    return in_.Skip(static_cast<int>(length));
  }

  static uint64_t SizeOfPacked(const FieldDescriptor& field, const uint8_t* data, uint32_t length) {
    const FieldDescriptor::CppType type = field.cpp_type();
    const bool is_long = type == FieldDescriptor::CPPTYPE_INT64 || type == FieldDescriptor::CPPTYPE_UINT64;
    if (type == FieldDescriptor::CPPTYPE_FLOAT || type == FieldDescriptor::CPPTYPE_DOUBLE) return length;
    // The last byte of each number is less than 128.
    const auto numbers = std::count_if(data, data + length, [](uint8_t byte) { return byte < 128; });
    return static_cast<uint64_t>(numbers) * (is_long ? 8 : 4);
  }

  uint64_t SizeOf(const Descriptor& type) {
    uint64_t& size = sizes_[&type];
    if (size == 0) {
      size = google::protobuf::MessageFactory::generated_factory()->GetPrototype(&type)->SpaceUsedLong();
    }
    return size;
  }

  CodedInputStream& in_;
  std::map<const Descriptor*, uint64_t> sizes_;
  uint64_t bytes_ = 0;
};

}  // namespace

std::optional<uint64_t> ParsedSize(const Descriptor& type, const std::string& wire) {
  CodedInputStream in(reinterpret_cast<const uint8_t*>(wire.data()), static_cast<int>(wire.size()));
  in.PushLimit(static_cast<int>(wire.size()));
  Counter counter(in);
  return counter.Add(type, 0) ? std::optional(counter.bytes()) : std::nullopt;
}

}  // namespace tied::converter
