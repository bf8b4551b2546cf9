// One table for all uses that mean the same numbers.
#ifndef TIED_CONVERTER_OUTPUT_UNITE_TABLES_H_
#define TIED_CONVERTER_OUTPUT_UNITE_TABLES_H_

#include "converter/output/plan.h"

namespace tied::converter {

// Reduces the tables of a plan to those that differ; the first is the one that the embedding reads. With `tie` a table
// that is the same matrix as the kept one within their rounding (table_difference.h) goes too, and Plan::moved says
// which uses read another table now. Throws ConvertError for what is still different unless that is allowed.
void UniteTables(bool allow_untied, Tie tie, const Progress& progress, Plan* plan);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_UNITE_TABLES_H_
