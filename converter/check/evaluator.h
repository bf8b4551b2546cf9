// The reference evaluation: evaluates an unmodified ONNX graph, to check a conversion.
#ifndef TIED_CONVERTER_CHECK_EVALUATOR_H_
#define TIED_CONVERTER_CHECK_EVALUATOR_H_

#include <map>
#include <string>
#include <vector>

#include "converter/check/array.h"
#include "converter/graph/graph.h"

namespace tied::converter {

// kValues computes the values. kMagnitudes replaces every number by its magnitude, which turns each sum of products
// into the sum in its error bound. The errors of the k largest sums are at most the largest error of all sums, so their
// magnitude is the largest magnitude.
enum class Arithmetic { kValues, kMagnitudes };

// Computes the graph's outputs in double precision, including Ifs, without any passes. ArgMax, TopK and LogSoftmax
// along a dimension as long as `kept` see -infinity at positions that are false. Throws ConvertError for an unsupported
// operation.
std::map<std::string, Array> Evaluate(const Graph& graph, const std::map<std::string, Array>& inputs,
                                      Arithmetic arithmetic, const std::vector<bool>& kept);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_EVALUATOR_H_
