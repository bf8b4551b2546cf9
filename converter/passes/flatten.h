// Splits Ifs on Boolean inputs into one flat graph per path.
#ifndef TIED_CONVERTER_PASSES_FLATTEN_H_
#define TIED_CONVERTER_PASSES_FLATTEN_H_

#include <string>
#include <vector>

#include "converter/graph/graph.h"

namespace tied::converter {

// The value that a Boolean graph input has on a path.
struct Selector {
  std::string input;
  bool value;
};

struct FlatGraph {
  std::vector<std::string> branch_names;  // names of the branch graphs on the path, outermost first
  std::vector<Selector> selectors;
  Graph graph;  // without If
};

// Throws ConvertError for an If whose condition is not a Boolean graph input (or its negation).
std::vector<FlatGraph> FlattenIfs(const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_PASSES_FLATTEN_H_
