// Compares a .tied file with the ONNX graph that it was made from.
#ifndef TIED_CONVERTER_CHECK_CHECK_H_
#define TIED_CONVERTER_CHECK_CHECK_H_

#include <string>

#include "converter/graph/graph.h"
#include "converter/output/plan.h"
#include "converter/report.h"

namespace tied::converter {

// Runs every entry point on seeded random inputs, and reports for each output the largest difference from the reference
// evaluation and its share of the error bound. The bound is gamma_n * sum |w||x| with n = cols + 2 roundings (Higham,
// Accuracy and Stability of Numerical Algorithms, 2002, 3.1). If an output's table was rounded, differences are only
// reported. If it is a different table than in the model (Plan::moved), the difference of the two tables is also
// allowed. Fills `outputs` and `dropped_ids`. Throws ConvertError, with the outputs so far in the report, for a graph
// that the evaluator does not support. Maps the whole model, so it needs that much address space.
void CheckConversion(const Graph& graph, const Plan& plan, const std::string& tied_path, CheckReport* report);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_CHECK_H_
