// What is known of ONNX's operations, and of ONNX Runtime's own, without computing them: one row for each.
//
// How shapes follow from values is in graph/shapes, what an operation computes is in check/operations.
#ifndef TIED_CONVERTER_GRAPH_OPERATIONS_H_
#define TIED_CONVERTER_GRAPH_OPERATIONS_H_

#include <string>

namespace tied::converter {

struct OperationFacts {
  // The rank of the first output: that of the first input, the largest of all inputs (as in NumPy's broadcasting), the
  // larger of two matrices with leading dimensions, that of the first input unless `keepdims` is 0, or a number;
  // kOther: it depends on more.
  enum class Rank { kOther, kFirst, kBroadcast, kProduct, kReduction, kOne, kTwo };
  // The element type of the first output: that of an input, or always the same; kOther: it depends on more.
  enum class Type { kOther, kFirst, kSecond, kBool, kInt64 };

  const char* name;  // without the domain of ONNX Runtime's own
  Rank rank = Rank::kOther;
  Type type = Type::kOther;
  bool is_view = false;  // the first output has the elements of the first input in the same order, in another shape

  bool known() const { return *name != '\0'; }
  // Whether the first output has the numbers of the first input, in the same order: views, Identity and Cast.
  bool passes_numbers() const;
};

// By the name of a node's operation, with or without the domain of ONNX Runtime's own. An empty row for one that is not
// known.
const OperationFacts& FactsOf(const std::string& op);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_OPERATIONS_H_
