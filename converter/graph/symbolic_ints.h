// Dimensions and shapes as far as they are known.
#ifndef TIED_CONVERTER_GRAPH_SYMBOLIC_INTS_H_
#define TIED_CONVERTER_GRAPH_SYMBOLIC_INTS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "converter/graph/graph.h"

namespace tied::converter {

// One dimension, or one element of a computed shape: a number, a dimension of a graph input, or unknown.
struct SymbolicInt {
  enum class Kind { kConstant, kInputDim, kUnknown } kind = Kind::kUnknown;
  int64_t value = 0;  // the number, or the index of the dimension
  std::string input;  // of kInputDim

  static SymbolicInt Constant(int64_t value) { return {Kind::kConstant, value, {}}; }
  static SymbolicInt InputDim(const std::string& input, int64_t dim) { return {Kind::kInputDim, dim, input}; }
  bool IsConstant(int64_t number) const { return kind == Kind::kConstant && value == number; }
  bool operator==(const SymbolicInt& other) const {
    return kind == other.kind && kind != Kind::kUnknown && value == other.value && input == other.input;
  }
};

using SymbolicShape = std::vector<SymbolicInt>;

// The product of some dimensions: one that is alone stays itself.
SymbolicInt Multiplied(SymbolicShape::const_iterator begin, SymbolicShape::const_iterator end);

// The dimensions of what an operation on elements makes. Nothing where they do not fit together.
std::optional<SymbolicShape> BroadcastDims(const SymbolicShape& a, const SymbolicShape& b);

// Arithmetic, comparison and choice of elements.
bool IsElementwise(const Node& node);

// What such a node makes of integers; nothing for operations that shapes are not computed with.
std::optional<SymbolicShape> ComputeContents(const Node& node, const std::vector<const SymbolicShape*>& inputs);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_SYMBOLIC_INTS_H_
