// Unites tables that hold the same numbers.
#ifndef TIED_CONVERTER_OUTPUT_UNITE_TABLES_H_
#define TIED_CONVERTER_OUTPUT_UNITE_TABLES_H_

#include "converter/output/plan.h"

namespace tied::converter {

// Reduces the tables of a plan to those that differ; the first one is the embedding's. With `tie`, also drops a table
// that is the same matrix as the kept one up to rounding (table_difference.h), and lists the uses that now read a
// different table in Plan::moved. Throws ConvertError if tables still differ, unless allow_untied.
void UniteTables(bool allow_untied, Tie tie, const Progress& progress, Plan* plan);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_UNITE_TABLES_H_
