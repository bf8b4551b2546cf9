// Reduces the vocabulary: only some rows of a plan are written.
#ifndef TIED_CONVERTER_OUTPUT_KEEP_IDS_H_
#define TIED_CONVERTER_OUTPUT_KEEP_IDS_H_

#include <string>

#include "converter/output/plan.h"

namespace tied::converter {

// Restrict all tables and biases of the plan to the ids that the file lists (ReadIdFile()), or to the others. Throw
// ConvertError if no id is left, or fewer than a top-k of the model needs.
void KeepIds(Plan* plan, const std::string& path);
void DropIds(Plan* plan, const std::string& path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_KEEP_IDS_H_
