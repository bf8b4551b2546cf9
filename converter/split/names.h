// The names that a split goes by, and those that it adds.
#ifndef TIED_CONVERTER_SPLIT_NAMES_H_
#define TIED_CONVERTER_SPLIT_NAMES_H_

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <string>

#include "converter/onnx/scope.h"

namespace tied::converter {

inline constexpr char kIds[] = "input_ids";
inline constexpr char kDecoderIds[] = "decoder_input_ids";
inline constexpr char kEmbeddings[] = "inputs_embeds";
inline constexpr char kDecoderEmbeddings[] = "decoder_inputs_embeds";
inline constexpr char kLogits[] = "logits";
inline constexpr char kHidden[] = "hidden";
inline constexpr char kPrefix[] = "tied_";  // dimensions of an export may have any other name

bool IsTokenIds(const std::string& name);

// The input of token ids that a value has the elements of; "" if it is another value.
std::string TokenIdsOf(std::string name, const Scope& scope);

onnx::NodeProto Identity(const std::string& name, const std::string& from, const std::string& to);

// [batch, sequence, width], or [batch, width]; width 0: [batch, sequence]. prefix: of the names of free dimensions.
onnx::ValueInfoProto Declare(const std::string& name, int type, int64_t width, int rank = 3,
                             const std::string& prefix = "");

// Throws ConvertError, naming `path`, if the graph has a value of a name that is added.
void CheckNames(const onnx::GraphProto& graph, const std::string& path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_NAMES_H_
