// The passes: each takes a flat graph and gives one that means the same, closer to what an entry point can be.
//
// What is left at the end is made of three operations of our own:
//   tied.Gather(table, ids) {scale}                            rows of the table, times scale
//   tied.Head(hidden, table[, bias]) {transposed, log_softmax} hidden times the table's transpose, plus bias
//   values, ids = tied.Topk(hidden, table[, bias]) {transposed, log_softmax, k}       the k largest of tied.Head
// Operations that only change a shape are gone by then: data in row-major order does not notice them, and the shapes of
// the outputs are known from InferShapes().
#ifndef TIED_CONVERTER_PASSES_PASSES_H_
#define TIED_CONVERTER_PASSES_PASSES_H_

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

// Gather on the rows of a constant matrix becomes tied.Gather.
Graph CanonicalGather(Graph graph);

// The forms of a product with a constant matrix become tied.Head. transposed: 1 if the constant is [cols, rows].
Graph CanonicalHead(Graph graph, const Shapes& shapes);

// ArgMax, TopK and LogSoftmax along the last dimension become tied.Topk {k} and tied.LogSoftmax of a value, with its
// last dimension as `width`.
Graph CanonicalSelection(Graph graph, const Shapes& shapes);

// Reshape, Squeeze, Unsqueeze and Flatten of constants become constants: how one is broadcast depends on its shape.
Graph FoldViews(Graph graph, const Shapes& shapes);

// Those of all else are replaced by their input.
Graph DropViews(Graph graph);

// A product with a constant number becomes the scale of tied.Gather.
Graph FuseScale(Graph graph);

// A sum with a constant vector becomes the bias of tied.Head.
Graph FuseBias(Graph graph, const Shapes& shapes);

// tied.LogSoftmax and tied.Topk take the tied.Head in whose rows they work along.
Graph FuseSelection(Graph graph);

// Nodes and constants that no result needs are removed.
Graph DropDeadCode(Graph graph);

// All of them, in order.
Graph Canonicalise(Graph graph, const Shapes& shapes);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_PASSES_H_
