// Finds the nodes that compute a result of a graph.
#ifndef TIED_CONVERTER_GRAPH_TRACE_H_
#define TIED_CONVERTER_GRAPH_TRACE_H_

#include <string>

#include "converter/graph/graph.h"

namespace tied::converter {

// The nodes on the paths from the graph's inputs to a value, one per line in the graph's order: "Gather embed_tokens".
std::string TraceNodes(const Graph& graph, const std::string& value);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_TRACE_H_
