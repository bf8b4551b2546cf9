// Dimensions and shapes that may be unknown or depend on inputs.
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
  std::string input;  // for kInputDim

  static SymbolicInt Constant(int64_t value) { return {Kind::kConstant, value, {}}; }
  static SymbolicInt InputDim(const std::string& input, int64_t dim) { return {Kind::kInputDim, dim, input}; }
  bool IsConstant(int64_t number) const { return kind == Kind::kConstant && value == number; }
  bool operator==(const SymbolicInt& other) const {
    return kind == other.kind && kind != Kind::kUnknown && value == other.value && input == other.input;
  }
};

using SymbolicShape = std::vector<SymbolicInt>;

// The product of some dimensions. A single dimension is returned unchanged.
SymbolicInt Multiplied(SymbolicShape::const_iterator begin, SymbolicShape::const_iterator end);

// The dimensions of the result of an elementwise operation; nullopt if they cannot be broadcast.
std::optional<SymbolicShape> BroadcastDims(const SymbolicShape& a, const SymbolicShape& b);

// Arithmetic, comparison and choice of elements.
bool IsElementwise(const Node& node);

// The result of an elementwise node on integers; nullopt for operations that are not used to compute shapes.
std::optional<SymbolicShape> ComputeContents(const Node& node, const std::vector<const SymbolicShape*>& inputs);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_SYMBOLIC_INTS_H_
