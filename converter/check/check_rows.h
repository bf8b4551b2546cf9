// Compares every row of a written file with the model.
#ifndef TIED_CONVERTER_CHECK_CHECK_ROWS_H_
#define TIED_CONVERTER_CHECK_CHECK_ROWS_H_

#include <optional>
#include <string>

#include "converter/output/plan.h"
#include "converter/report.h"

namespace tied::converter {

// Reads all kept rows with the embedding. Each number must equal the model's, or be the nearest in a lossy format, and
// logits must match these rows. Returns nullopt for a model without an embedding, and does not check a head with a
// different table, because rows can only be read with the embedding.
std::optional<RowsCheck> CheckRows(const Plan& plan, const std::string& tied_path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_CHECK_CHECK_ROWS_H_
