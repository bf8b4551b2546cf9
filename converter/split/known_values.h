// Element types and ranks of the values of an export, where they follow from its inputs and its operations.
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
  // outer: of the graph around it, or null. All three must outlive it.
  KnownValues(const onnx::GraphProto& graph, const Scope& scope, const KnownValues* outer);

  // What follows comes before what the export declares: declarations of inner values are hints to ONNX Runtime, too.
  std::optional<int> Rank(const std::string& value) const { return Find(value).rank; }
  std::optional<int> Type(const std::string& value) const { return Find(value).type; }

 private:
  struct Known {
    std::optional<int> type;
    std::optional<int> rank;
    std::optional<int> length;  // of a value of rank 1: shapes
  };

  Known Find(const std::string& value) const;
  Known Declared(const onnx::ValueInfoProto& value) const;
  Known OutputOf(const onnx::NodeProto& node) const;
  std::optional<int> TypeOf(const onnx::NodeProto& node) const;
  std::optional<int> RankOf(const onnx::NodeProto& node) const;
  std::optional<int> LengthOf(const onnx::NodeProto& node) const;
  std::optional<int> BroadcastRank(const onnx::NodeProto& node) const;
  // How many axes a node has, as an attribute or as its second input.
  std::optional<int> CountAxes(const onnx::NodeProto& node) const;

  const Scope& scope_;
  const KnownValues* outer_;
  std::map<std::string, Known> values_;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_KNOWN_VALUES_H_
