// Sizes for the free dimensions of a model's inputs.
#ifndef TIED_CONVERTER_CHECK_INPUT_SIZES_H_
#define TIED_CONVERTER_CHECK_INPUT_SIZES_H_

#include <vector>

#include "converter/graph/graph.h"

namespace tied::converter {

// The inputs with a number for each dimension: 2 for a free one that comes first, 3 for others, or what the Reshapes of
// the graph need, where such numbers are found. Dimensions of one name have one size.
std::vector<ValueInfo> ChooseInputSizes(const Graph& graph);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_INPUT_SIZES_H_
