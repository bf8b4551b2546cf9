// Every row of a written file beside the model it was made from.
#ifndef TIED_CONVERTER_CHECK_CHECK_ROWS_H_
#define TIED_CONVERTER_CHECK_CHECK_ROWS_H_

#include <optional>
#include <string>

#include "converter/output/plan.h"
#include "converter/report.h"

namespace tied::converter {

// Reads all rows that are kept through the embedding: each number must be the model's, or the nearest that a lossy
// format has to it, and logits must be those of the rows that were read. Returns nothing for a model without an
// embedding, and does not look at a head with a table of its own: nothing gives their rows.
std::optional<RowsCheck> CheckRows(const Plan& plan, const std::string& tied_path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_CHECK_ROWS_H_
