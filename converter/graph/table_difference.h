// Decides whether two tables are the same matrix, rounded in two different ways.
//
// Each element of a rounded table determines an interval that contained the original number:
//   quantised   half a scale on each side of (integer - zero point) * scale, plus rounding in float arithmetic: the
//               quotient is rounded before it becomes an integer, and a 16-bit scale is rounded
//   saturated   an integer at the end of its type's range may have been clipped: another scale on the outer side.
//               Symmetric int4 turns +8 into 7
//   16-bit floating-point numbers   half the distance to the next number
//   float32     only the number itself
// The tables can be the same matrix if the two intervals of every element overlap.
#ifndef TIED_CONVERTER_GRAPH_TABLE_DIFFERENCE_H_
#define TIED_CONVERTER_GRAPH_TABLE_DIFFERENCE_H_

#include <cstdint>
#include <string>

#include "converter/graph/table_source.h"

namespace tied::converter {

struct TableDifference {
  uint64_t elements = 0;
  uint64_t unexplained = 0;    // elements whose intervals do not overlap
  double worst_share = 0;      // largest difference of two elements, as a share of the allowed difference
  double largest = 0;          // difference of two elements
  double rms = 0;              // of these differences
  double largest_row_sum = 0;  // of the magnitudes of a row's differences
  double rounding_a = 0;       // expected root mean square of the rounding error in each table
  double rounding_b = 0;

  bool one_matrix() const { return unexplained == 0; }
  TableDifference Swapped() const;
  // For messages: "differ by up to 0.5 (root mean square 0.1)", and how often rounding does not explain it.
  std::string Describe() const;
};

// a and b must have the same shape. Reads both once, in blocks.
TableDifference CompareTables(const TableSource& a, const TableSource& b, const Progress& progress);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_TABLE_DIFFERENCE_H_
