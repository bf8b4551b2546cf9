#include "converter/passes/matrix.h"

namespace tied::converter {

std::optional<Matrix> FindMatrix(const Graph& graph, const std::string& value) {
  Matrix matrix{value, false};
  const Node* producer = graph.FindProducer(matrix.constant);
  for (; producer != nullptr; producer = graph.FindProducer(matrix.constant)) {
    const bool transpose = producer->op == "Transpose";
    if (!transpose && producer->op != "Identity") break;
    const auto perm = producer->attributes.find("perm");
    const bool swaps =
        transpose && (perm == producer->attributes.end() || perm->second.ints != std::vector<int64_t>{0, 1});
    matrix = {producer->Input(0), matrix.transposed != swaps};
  }
  const TensorRef* tensor = graph.FindConstant(matrix.constant);
  if (tensor == nullptr || tensor->dims.size() != 2) return std::nullopt;
  return matrix;
}

}  // namespace tied::converter
