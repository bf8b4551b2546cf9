// Names of token ids and logits in an export, and names that a split creates.
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

// The input of the export of which a value is a view; "" for other values.
std::string InputBehind(std::string value, const Scope& scope);

// The constant with at least two dimensions that a value is or is computed from; null for other values.
const onnx::TensorProto* MatrixOf(std::string value, const Scope& scope);

// Calls visit(node, input, matrix) for each Gather on a constant matrix by an input of integers, also in subgraphs.
using VisitLookup = std::function<void(const onnx::NodeProto&, const std::string&, const onnx::TensorProto&)>;
void ForEachLookup(const onnx::GraphProto& graph, const VisitLookup& visit);

// The inputs of token ids: `given`, or input_ids and decoder_input_ids, or the one input that looks up rows of a matrix
// with `vocabulary` rows (0: any number). Empty if there is no lookup. Throws ConvertError if the choice is ambiguous.
std::set<std::string> ChooseIds(const onnx::GraphProto& graph, const std::string& path, const std::string& given,
                                int64_t vocabulary);

onnx::NodeProto Identity(const std::string& name, const std::string& from, const std::string& to);

// Declares [batch, sequence, width], or `rank` dimensions; width 0: the last has any size. prefix: for names of the
// other dimensions.
onnx::ValueInfoProto Declare(const std::string& name, int type, int64_t width, int rank = 3,
                             const std::string& prefix = "");

// Renames values in the graph that are named `name`. Throws ConvertError with `advice` if an input or output has it.
void ClearName(const std::string& name, const std::string& path, const std::string& advice, onnx::GraphProto* graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_NAMES_H_
