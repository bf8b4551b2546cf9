// Runs a .tied file beside the ONNX graph that it was made from.
#ifndef TIED_CONVERTER_CHECK_CHECK_H_
#define TIED_CONVERTER_CHECK_CHECK_H_

#include <string>

#include "converter/graph/graph.h"
#include "converter/output/plan.h"
#include "converter/report.h"

namespace tied::converter {

// Feeds every entry point seeded random inputs, and reports for each output the largest difference from the reference
// evaluation and how much of the error bound that is. The bound is gamma_n * sum |w||x| with n = cols + 2 roundings
// (Higham, Accuracy and Stability of Numerical Algorithms, 2002, 3.1). Each output is judged by its own table: where it
// was rounded, differences are reported and not judged; where it is another one than in the model (Plan::moved), what
// the two differ by is allowed too. Fills `outputs` and `dropped_ids`; throws ConvertError, with the outputs so
// far in the report, for a graph that the evaluator does not know.
// Maps the whole model, so it needs as much address space as the model is large.
void CheckConversion(const Graph& graph, const Plan& plan, const std::string& tied_path, CheckReport* report);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_CHECK_H_
