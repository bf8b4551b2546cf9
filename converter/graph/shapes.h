// Infers shapes without knowing the inputs.
#ifndef TIED_CONVERTER_GRAPH_SHAPES_H_
#define TIED_CONVERTER_GRAPH_SHAPES_H_

#include <map>
#include <string>

#include "converter/graph/graph.h"
#include "converter/graph/symbolic_ints.h"

namespace tied::converter {

// Shapes and contents of the values of a graph, by name. The rank of a missing value is unknown.
struct Shapes {
  std::map<std::string, SymbolicShape> dims;
  std::map<std::string, SymbolicShape>
      contents;  // of small integer tensors: constants, and results of Shape and similar operations

  const SymbolicShape* Find(const std::string& value) const;
};

Shapes InferShapes(const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_SHAPES_H_
