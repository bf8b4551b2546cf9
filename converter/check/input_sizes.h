// Chooses sizes for the free dimensions of a model's inputs.
#ifndef TIED_CONVERTER_CHECK_INPUT_SIZES_H_
#define TIED_CONVERTER_CHECK_INPUT_SIZES_H_

#include <vector>

#include "converter/graph/graph.h"

namespace tied::converter {

// Returns the inputs with a number for each dimension. A free dimension becomes 2 if it is the first and 3 otherwise,
// or a number that the Reshapes of the graph need, if one is found. Dimensions with the same name get the same size.
std::vector<ValueInfo> ChooseInputSizes(const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_INPUT_SIZES_H_
