// Facts about the operations of ONNX and ONNX Runtime: one row per operation.
//
// graph/shapes derives shapes from values; check/operations computes operations.
#ifndef TIED_CONVERTER_GRAPH_OPERATIONS_H_
#define TIED_CONVERTER_GRAPH_OPERATIONS_H_

#include <string>

namespace tied::converter {

struct OperationFacts {
  // The rank of the first output: the rank of the first input (kFirst), the largest rank of all inputs as in NumPy's
  // broadcasting (kBroadcast), the larger rank of two matrices with leading dimensions (kProduct), the rank of the
  // first input unless `keepdims` is 0 (kReduction), or a number. kOther: it depends on something else.
  enum class Rank { kOther, kFirst, kBroadcast, kProduct, kReduction, kOne, kTwo };
  // The element type of the first output: the type of an input, or a fixed type. kOther: it depends on something else.
  enum class Type { kOther, kFirst, kSecond, kBool, kInt64 };

  const char* name;  // without ONNX Runtime's domain
  Rank rank = Rank::kOther;
  Type type = Type::kOther;
  bool is_view =
      false;  // the first output has the elements of the first input in the same order; only the shape differs

  bool known() const { return *name != '\0'; }
  // True if the first output has the numbers of the first input in the same order: views, Identity and Cast.
  bool passes_numbers() const;
};

// op: a node's operation, with or without ONNX Runtime's domain. Returns an empty row for an unknown operation.
const OperationFacts& FactsOf(const std::string& op);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_OPERATIONS_H_
