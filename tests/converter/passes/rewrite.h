// Parses graphs from text and runs passes on them.
#ifndef TIED_TESTS_CONVERTER_PASSES_REWRITE_H_
#define TIED_TESTS_CONVERTER_PASSES_REWRITE_H_

#include <functional>
#include <ostream>
#include <string>

#include "converter/graph/graph.h"
#include "converter/graph/shapes.h"
#include "converter/passes/passes.h"
#include "tests/converter/onnx_builder.h"

namespace tied::test {

struct Rewrite {
  const char* name;
  std::function<converter::Graph(converter::Graph)> pass;
  Lines before;
  const char* after;  // the lines of the nodes
};
std::ostream& operator<<(std::ostream& out, const Rewrite& rewrite);

template <converter::Graph (*pass)(converter::Graph, const converter::Shapes&)>
converter::Graph WithShapes(converter::Graph graph) {
  const converter::Shapes shapes = converter::InferShapes(graph);
  return pass(std::move(graph), shapes);
}

// x: float [-1, kCols]; h: float [-1, -1, kCols]; ids: int64 [-1]; the constants of MakeModel(), and quantised ones.
converter::Graph ParseGraph(const Lines& lines);

// The lines of ToText() that are nodes, without indentation.
std::string NodesOf(const converter::Graph& graph);

}  // namespace tied::test

#endif  // TIED_TESTS_CONVERTER_PASSES_REWRITE_H_
