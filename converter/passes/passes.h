// The passes. Each transforms a flat graph to an equivalent one that is closer to an entry point.
//
// The final graph consists of four operations:
//   tied.Gather(table, ids) {transposed, scale}    rows of the table, times scale
//   tied.Head(hidden, table[, bias]) {transposed, scale, soft_cap, log_softmax}
//                                                  hidden times the table's transpose, times scale, plus bias, capped
//   values, ids = tied.Topk(hidden, table[, bias]) {transposed, scale, soft_cap, log_softmax, k}
//                                                  the k largest of tied.Head
//   tied.Fill() {value}                            all elements equal `value`
// Operations that only change a shape are removed: they do not change data in row-major order, and InferShapes() gives
// the shapes of the outputs.
#ifndef TIED_CONVERTER_PASSES_PASSES_H_
#define TIED_CONVERTER_PASSES_PASSES_H_

#include <optional>

#include "converter/graph/graph.h"
#include "converter/graph/shapes.h"

namespace tied::converter {

// Turns Constant nodes into constants of the graph.
Graph FoldConstants(Graph graph);

// Turns quantised forms of a product and of a Gather into MatMul, FusedMatMul and Gather of a constant with a
// Quantisation. Activations that are rounded to integers and back are used unrounded.
Graph Dequantise(Graph graph);

// Removes Identity, Dropout, Cast to the type that a value already has, and Cast between floating-point types:
// everything is computed in float32.
Graph DropNoOps(Graph graph);

// Turns Expand of one number, ConstantOfShape, and operations that move such values, into tied.Fill.
Graph FoldFills(Graph graph);

// The element that all elements of the tensor equal, as a constant; nullopt if they differ or the tensor is empty.
std::optional<TensorRef> OnlyElement(const TensorRef& tensor);

// Removes Casts between int32 and int64 unless a result of the graph has that type: every valid id fits in both.
Graph DropIdCasts(Graph graph);

// Moves a Transpose of a sum or a product with a constant before the sum or product.
Graph HoistTransposes(Graph graph, const Shapes& shapes);

// Joins consecutive Transposes, and removes those that only move dimensions of 1.
Graph DropTransposes(Graph graph, const Shapes& shapes);

// Turns a Gather of rows or columns of a constant matrix into tied.Gather, followed by a Transpose if the columns of a
// row come first.
Graph CanonicalGather(Graph graph, const Shapes& shapes);

// Turns a product with a constant matrix into tied.Head, with Transposes if its dimensions have a different order.
// transposed: 1 if the constant is [cols, rows].
Graph CanonicalHead(Graph graph, const Shapes& shapes);

// Turns ArgMax, TopK and LogSoftmax along the last dimension into tied.Topk {k} and tied.LogSoftmax, with the last
// dimension as `width`.
Graph CanonicalSelection(Graph graph, const Shapes& shapes);

// Turns Reshape, Squeeze, Unsqueeze and Flatten of constants into constants, whose shape determines broadcasting.
Graph FoldViews(Graph graph, const Shapes& shapes);

// Removes Reshape, Squeeze, Unsqueeze and Flatten of other values.
Graph DropViews(Graph graph);

// Turns Mul(Tanh(x / c), c) into tied.SoftCap of x {cap}.
Graph CanonicalSoftCap(Graph graph);

// Turns a product of embeddings, hidden states or logits with a constant number into the scale of tied.Gather or
// tied.Head. A bias that the head has is multiplied, too.
Graph FuseScale(Graph graph);

// Turns a sum with a constant vector into the bias of tied.Head.
Graph FuseBias(Graph graph, const Shapes& shapes);

// Turns tied.SoftCap of a tied.Head into its soft_cap.
Graph FuseSoftCap(Graph graph);

// Fuses tied.LogSoftmax and tied.Topk along the rows of a tied.Head with it.
Graph FuseSelection(Graph graph);

// Removes nodes and constants that no result needs.
Graph DropDeadCode(Graph graph);

// Runs all passes in order.
Graph Canonicalise(Graph graph, const Shapes& shapes);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_PASSES_H_
