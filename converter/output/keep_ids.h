// Smaller vocabularies: a plan of which only some rows are written.
#ifndef TIED_CONVERTER_OUTPUT_KEEP_IDS_H_
#define TIED_CONVERTER_OUTPUT_KEEP_IDS_H_

#include <string>

#include "converter/output/plan.h"

namespace tied::converter {

// Restricts every table of the plan, and the biases, to the ids that the file lists (ReadIdFile()), or to those that it
// does not list. Throws ConvertError if none is left, or fewer than a top-k of the model asks for.
void KeepIds(Plan* plan, const std::string& path);
void DropIds(Plan* plan, const std::string& path);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_KEEP_IDS_H_
