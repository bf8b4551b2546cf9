// The passes: each takes a flat graph and gives one that means the same, closer to what an entry point can be.
//
// What is left at the end is made of four operations of our own:
//   tied.Gather(table, ids) {transposed, scale}    rows of the table, times scale
//   tied.Head(hidden, table[, bias]) {transposed, scale, soft_cap, log_softmax}
//                                                  hidden times the table's transpose, times scale, plus bias, capped
//   values, ids = tied.Topk(hidden, table[, bias]) {transposed, scale, soft_cap, log_softmax, k}
//                                                  the k largest of tied.Head
//   tied.Fill() {value}                            one number in each place
// Operations that only change a shape are gone by then: data in row-major order does not notice them, and the shapes of
// the outputs are known from InferShapes().
#ifndef TIED_CONVERTER_PASSES_PASSES_H_
#define TIED_CONVERTER_PASSES_PASSES_H_

#include <optional>

#include "converter/graph/graph.h"
#include "converter/graph/shapes.h"

namespace tied::converter {

// Constant nodes become constants of the graph.
Graph FoldConstants(Graph graph);

// Quantised forms of a product and of a Gather become MatMul, FusedMatMul and Gather of a constant with a Quantisation;
// activations that are rounded to integers and back are taken as they were before.
Graph Dequantise(Graph graph);

// Identity, Dropout, Cast to the type that a value has already, and Cast from one floating-point type to another, are
// replaced by their input: everything is computed in float32.
Graph DropNoOps(Graph graph);

// Expand of one number, and ConstantOfShape, become tied.Fill, and so does what moves such a value.
Graph FoldFills(Graph graph);

// A constant of one element that all elements of the tensor are equal to; nothing if they differ or there are none.
std::optional<TensorRef> OnlyElement(const TensorRef& tensor);

// A Cast between int32 and int64 is replaced by its input, unless a result of the graph has that type: an id that
// either type does not hold is none.
Graph DropIdCasts(Graph graph);

// A Transpose of a sum or a product with a constant is done before it.
Graph HoistTransposes(Graph graph, const Shapes& shapes);

// Transposes that follow each other are joined; those that move dimensions of 1 alone are replaced by their input.
Graph DropTransposes(Graph graph, const Shapes& shapes);

// Gather on the rows of a constant matrix, or on its columns, becomes tied.Gather, and a Transpose where the columns
// of a row come first.
Graph CanonicalGather(Graph graph, const Shapes& shapes);

// A product with a constant matrix becomes tied.Head, and Transposes where its dimensions are in another order.
// transposed: 1 if the constant is [cols, rows].
Graph CanonicalHead(Graph graph, const Shapes& shapes);

// ArgMax, TopK and LogSoftmax along the last dimension become tied.Topk {k} and tied.LogSoftmax of a value, with its
// last dimension as `width`.
Graph CanonicalSelection(Graph graph, const Shapes& shapes);

// Reshape, Squeeze, Unsqueeze and Flatten of constants become constants: how one is broadcast depends on its shape.
Graph FoldViews(Graph graph, const Shapes& shapes);

// Those of all else are replaced by their input.
Graph DropViews(Graph graph);

// Mul(Tanh(x / c), c) becomes tied.SoftCap of x {cap}.
Graph CanonicalSoftCap(Graph graph);

// A product with a constant number becomes the scale of tied.Gather or tied.Head, of the hidden states as of logits; a
// bias that the head has is multiplied, too.
Graph FuseScale(Graph graph);

// A sum with a constant vector becomes the bias of tied.Head.
Graph FuseBias(Graph graph, const Shapes& shapes);

// tied.SoftCap of tied.Head becomes its soft_cap.
Graph FuseSoftCap(Graph graph);

// tied.LogSoftmax and tied.Topk take the tied.Head in whose rows they work along.
Graph FuseSelection(Graph graph);

// Nodes and constants that no result needs are removed.
Graph DropDeadCode(Graph graph);

// All of them, in order.
Graph Canonicalise(Graph graph, const Shapes& shapes);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_PASSES_H_
