// Runs a .tied file beside the ONNX graph that it was made from.
#ifndef TIED_CONVERTER_CHECK_CHECK_H_
#define TIED_CONVERTER_CHECK_CHECK_H_

#include <iosfwd>
#include <string>

#include "converter/graph/graph.h"

namespace tied::converter {

// Feeds every entry point seeded random inputs, and prints for each output the largest difference from the reference
// evaluation and how much of the error bound that is. The bound is gamma_n * sum |w||x| with n = cols + 2 roundings
// (Higham, Accuracy and Stability of Numerical Algorithms, 2002, 3.1). Returns false if an output is outside of it or
// has another shape. With `lossless` false the table was rounded: differences are printed and not judged.
// Maps the whole model, so it needs as much address space as the model is large.
bool CheckConversion(const Graph& graph, const std::string& tied_path, bool lossless, std::ostream& out);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_CHECK_H_
