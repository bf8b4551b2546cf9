// Shapes, as far as they can be known before the inputs are.
#ifndef TIED_CONVERTER_GRAPH_SHAPES_H_
#define TIED_CONVERTER_GRAPH_SHAPES_H_

#include <map>
#include <string>

#include "converter/graph/graph.h"
#include "converter/graph/symbolic_ints.h"

namespace tied::converter {

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
