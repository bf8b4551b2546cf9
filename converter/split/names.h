// The names that an export has for token ids and logits, and those that a split gives.
#ifndef TIED_CONVERTER_SPLIT_NAMES_H_
#define TIED_CONVERTER_SPLIT_NAMES_H_

#include <onnx/onnx_pb.h>

#include <cstdint>
#include <functional>
#include <set>
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

// "'a', 'b', 'c'"
template <class Named>
std::string ListNames(const google::protobuf::RepeatedPtrField<Named>& values) {
  std::string list;
  for (const Named& value : values) list += (list.empty() ? "'" : ", '") + value.name() + "'";
  return list;
}

// The input of the export that a value is a view of; "" if it is another value.
std::string InputBehind(std::string value, const Scope& scope);

// The constant with two dimensions or more that a value is, or is computed from; null for another value.
const onnx::TensorProto* MatrixOf(std::string value, const Scope& scope);

// Calls visit(node, input, matrix) for each Gather on a constant matrix by the values of an input of integers, in
// subgraphs too.
using VisitLookup = std::function<void(const onnx::NodeProto&, const std::string&, const onnx::TensorProto&)>;
void ForEachLookup(const onnx::GraphProto& graph, const VisitLookup& visit);

// The inputs of token ids: `given`, or input_ids and decoder_input_ids, or the one input that looks up rows of a matrix
// of `vocabulary` rows, or of any if that is 0. Nothing if there is no lookup. Throws ConvertError where that is
// ambiguous.
std::set<std::string> ChooseIds(const onnx::GraphProto& graph, const std::string& path, const std::string& given,
                                int64_t vocabulary);

onnx::NodeProto Identity(const std::string& name, const std::string& from, const std::string& to);

// [batch, sequence, width], or with `rank` dimensions; width 0: without the last. prefix: of the names of the others.
onnx::ValueInfoProto Declare(const std::string& name, int type, int64_t width, int rank = 3,
                             const std::string& prefix = "");

// The graph gives values of its own other names than `name`. Throws ConvertError, with `advice`, where an input or an
// output has it.
void ClearName(const std::string& name, const std::string& path, const std::string& advice, onnx::GraphProto* graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_NAMES_H_
