// Recognises exports that are more than a tied pair.
#ifndef TIED_CONVERTER_SPLIT_WHOLE_MODEL_H_
#define TIED_CONVERTER_SPLIT_WHOLE_MODEL_H_

#include "converter/graph/graph.h"

namespace tied::converter {

// True for a graph with layers between its embedding and its outputs: it multiplies rows of a table.
bool IsWholeModel(const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_SPLIT_WHOLE_MODEL_H_
