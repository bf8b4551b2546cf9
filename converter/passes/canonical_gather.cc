#include <numeric>

#include "converter/passes/matrix.h"
#include "converter/passes/passes.h"
#include "converter/passes/transposes.h"

namespace tied::converter {

namespace {

// The permutation for ids of that rank that puts the columns of a row before the dimensions of the ids.
std::vector<size_t> ColumnsFirst(size_t ids) {
  std::vector<size_t> perm(ids + 1);
  std::iota(perm.begin() + 1, perm.end(), 0);
  perm[0] = ids;
  return perm;
}

}  // namespace

Graph CanonicalGather(Graph graph, const Shapes& shapes) {
  for (size_t i = 0; i < graph.nodes.size(); ++i) {
    const Node node = graph.nodes[i];
    if (node.op != "Gather" || node.inputs.size() != 2 || node.outputs.empty()) continue;
    const std::optional<Matrix> matrix = FindMatrix(graph, node.Input(0));
    if (!matrix) continue;
    const TensorRef& table = *graph.FindConstant(matrix->constant);
    if (!IsFloat(table.type) && table.quantisation == nullptr) continue;
    const int64_t axis = node.Int("axis", 0);
    if (axis < -2 || axis > 1) continue;
    const bool by_columns = axis == 1 || axis == -1;
    const SymbolicShape* ids = shapes.Find(node.Input(1));
    if (by_columns && ids == nullptr) continue;
    Node gather{"tied.Gather", node.name, {matrix->constant, node.Input(1)}, node.outputs, {}};
    gather.stands_for = node.op;
    if (matrix->transposed != by_columns) gather.attributes["transposed"].i = 1;
    if (by_columns) gather.outputs = {graph.FreshName(node.outputs[0] + "/rows")};
    graph.nodes[i] = gather;
    if (!by_columns) continue;
    graph.nodes.insert(graph.nodes.begin() + static_cast<std::ptrdiff_t>(++i),
                       MakeTranspose(node, gather.outputs[0], node.outputs[0], ColumnsFirst(ids->size())));
  }
  return DropTransposes(std::move(graph), shapes);
}

}  // namespace tied::converter
