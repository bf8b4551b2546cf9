// Element types and ranks of the values of an export that follow from its inputs and operations.
#ifndef TIED_CONVERTER_SPLIT_KNOWN_VALUES_H_
#define TIED_CONVERTER_SPLIT_KNOWN_VALUES_H_

#include <onnx/onnx_pb.h>

#include <map>
#include <optional>
#include <string>

#include "converter/onnx/scope.h"

namespace tied::converter {

class KnownValues {
 public:
  // outer: values of the enclosing graph, or null. All three arguments must outlive this.
  KnownValues(const onnx::GraphProto& graph, const Scope& scope, const KnownValues* outer);

  // Inferred types and ranks take precedence over declared ones, because declarations of inner values are only hints.
  std::optional<int> Rank(const std::string& value) const { return Find(value).rank; }
  std::optional<int> Type(const std::string& value) const { return Find(value).type; }

 private:
  struct Known {
    std::optional<int> type;
    std::optional<int> rank;
    std::optional<int> length;  // of a value of rank 1, such as a shape
  };

  Known Find(const std::string& value) const;
  Known Declared(const onnx::ValueInfoProto& value) const;
  Known OutputOf(const onnx::NodeProto& node) const;
  std::optional<int> TypeOf(const onnx::NodeProto& node) const;
  std::optional<int> RankOf(const onnx::NodeProto& node) const;
  std::optional<int> LengthOf(const onnx::NodeProto& node) const;
  std::optional<int> BroadcastRank(const onnx::NodeProto& node) const;
  // The number of axes of a node, given as an attribute or as its second input.
  std::optional<int> CountAxes(const onnx::NodeProto& node) const;

  const Scope& scope_;
  const KnownValues* outer_;
  std::map<std::string, Known> values_;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_KNOWN_VALUES_H_
