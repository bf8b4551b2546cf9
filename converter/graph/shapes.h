// Shapes, as far as they can be known before the inputs are.
#ifndef TIED_CONVERTER_GRAPH_SHAPES_H_
#define TIED_CONVERTER_GRAPH_SHAPES_H_

#include <cstdint>
#include <map>
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

// What is known of the values of a graph, by name. Values that are missing have an unknown rank.
struct Shapes {
  std::map<std::string, SymbolicShape> dims;
  std::map<std::string, SymbolicShape>
      contents;  // of small integer tensors: constants, and what Shape and its like make

  const SymbolicShape* Find(const std::string& value) const;
};

Shapes InferShapes(const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_SHAPES_H_
