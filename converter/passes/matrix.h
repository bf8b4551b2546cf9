// Finds constant matrices.
#ifndef TIED_CONVERTER_PASSES_MATRIX_H_
#define TIED_CONVERTER_PASSES_MATRIX_H_

#include <optional>
#include <string>

#include "converter/graph/graph.h"

namespace tied::converter {

// A constant matrix, perhaps after Transposes.
struct Matrix {
  std::string constant;
  bool transposed;
};

std::optional<Matrix> FindMatrix(const Graph& graph, const std::string& value);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_MATRIX_H_
