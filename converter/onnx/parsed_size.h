// The memory that a protobuf message takes, before it is parsed.
#ifndef TIED_CONVERTER_ONNX_PARSED_SIZE_H_
#define TIED_CONVERTER_ONNX_PARSED_SIZE_H_

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <optional>
#include <string>

namespace tied::converter {

// The bytes that the message takes at most when it is parsed, with those of the allocator. An empty message takes two
// bytes of a file, and some two hundred of memory. nullopt if `wire` is not in protobuf's wire format.
std::optional<uint64_t> ParsedSize(const google::protobuf::Descriptor& type, const std::string& wire);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_ONNX_PARSED_SIZE_H_
