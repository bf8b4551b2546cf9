// A naive evaluation of an ONNX graph as it stands in the file, to check a conversion against.
#ifndef TIED_CONVERTER_CHECK_EVALUATOR_H_
#define TIED_CONVERTER_CHECK_EVALUATOR_H_

#include <map>
#include <string>
#include <vector>

#include "converter/check/array.h"
#include "converter/graph/graph.h"

namespace tied::converter {

// What to compute: the values, or with every number replaced by its magnitude, which turns each sum of products into
// the sum that error bounds are made of. The k largest of some sums are off by no more than the worst of them: their
// magnitude is the largest of all.
enum class Arithmetic { kValues, kMagnitudes };

// Computes the graph's outputs, in double precision, with its Ifs and without any of the passes. Where a dimension is
// as long as `kept`, ArgMax, TopK and LogSoftmax along it see -infinity at the positions that are false. Throws
// ConvertError for an operation it does not know.
std::map<std::string, Array> Evaluate(const Graph& graph, const std::map<std::string, Array>& inputs,
                                      Arithmetic arithmetic, const std::vector<bool>& kept);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_EVALUATOR_H_
