// Whether two tables are one matrix that was rounded in two ways.
//
// Each element of a rounded table leaves an interval in which the original number was:
//   quantised   (integer - zero point) * scale, half a scale to each side, and what float arithmetic adds: the quotient
//               that was rounded to the integer is itself rounded, and a scale of 16 bits is off by its own rounding
//   saturated   an integer at the end of its type's range may have been clipped: a whole scale more on the outer side.
//               Symmetric int4 makes 7 of +8
//   16-bit floating-point numbers   half the distance to the next number
//   float32     nothing: the number itself
// The tables can be one matrix if the two intervals of every element overlap.
#ifndef TIED_CONVERTER_GRAPH_TABLE_DIFFERENCE_H_
#define TIED_CONVERTER_GRAPH_TABLE_DIFFERENCE_H_

#include <cstdint>
#include <string>

#include "converter/graph/table_source.h"

namespace tied::converter {

struct TableDifference {
  uint64_t elements = 0;
  uint64_t unexplained = 0;    // elements whose intervals do not overlap
  double worst_share = 0;      // largest difference of two elements, as a share of what their intervals allow
  double largest = 0;          // difference of two elements
  double rms = 0;              // of these differences
  double largest_row_sum = 0;  // of a row's differences, by magnitude
  double rounding_a = 0;       // root mean square error that rounding leads to expect in each table
  double rounding_b = 0;

  bool one_matrix() const { return unexplained == 0; }
  TableDifference Swapped() const;
  // "differ by up to 0.5 (root mean square 0.1)", and how often rounding does not explain it: for messages.
  std::string Describe() const;
};

// Both have the same shape. Reads them once, in blocks.
TableDifference CompareTables(const TableSource& a, const TableSource& b, const Progress& progress);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_GRAPH_TABLE_DIFFERENCE_H_
