// Makes tables in every number format in the simplest way, and returns their dequantised numbers.
#ifndef TIED_TESTS_SUPPORT_QUANTISED_TABLE_H_
#define TIED_TESTS_SUPPORT_QUANTISED_TABLE_H_

#include <cstddef>
#include <ostream>
#include <vector>

#include "tests/support/tied_file.h"

namespace tied::test {

struct TableForm {
  format::DataType type;
  bool one_scale = false;    // for the whole table
  bool zero_points = false;  // with stored zero points
  bool screen = false;
  bool blocks = false;       // for bytes: one scale per 32 columns
  bool half_scales = false;  // for blocks: scales in float16
};
std::ostream& operator<<(std::ostream& out, const TableForm& form);

// Every form that a table can have.
std::vector<TableForm> AllTableForms();

// Rounds values [rows, cols] to what `form` can represent, and stores them as table 0 of the file.
void StoreTable(TiedFile* file, const TableForm& form, size_t rows, size_t cols, std::vector<float>* values);

// Upper bound on the change of a logit when the head of an integer table rounds hidden [cols] to activations: half a
// step for each weight of row [cols]. 0 for float tables.
double StepError(const TableForm& form, const float* row, const float* hidden, size_t cols);

// The planes of a screen for values [rows, cols]. calibrated: with the even ones of the first 32 columns.
void AddScreen(TiedFile* file, size_t rows, size_t cols, const std::vector<float>& values, bool calibrated = false);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_QUANTISED_TABLE_H_
