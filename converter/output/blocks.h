// Encodes rows in blocks of 32 columns that share a scale, with the least squared error of the weights, weighted by
// column.
#ifndef TIED_CONVERTER_OUTPUT_BLOCKS_H_
#define TIED_CONVERTER_OUTPUT_BLOCKS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "converter/output/encoding.h"

namespace tied::converter {

// Completes an encoding whose type is Int4 or Int8: zero points (Int4), the type of the scales, and the weights of the
// columns. The weight of a column is the mean square of the hidden states there, from `recorded`, a file of recorded
// hidden states. Without that file ("") it is the mean square of the table's column, because columns with large values
// and with large hidden states are mostly the same. Reads the whole table once.
void ChooseBlocks(const TableSource& table, const std::string& recorded, const Progress& progress,
                  TableEncoding* encoding);

// EncodeRows() for Int4 and for Int8 in blocks.
void EncodeBlocks(const TableEncoding& encoding, const RowBlock& rows, size_t cols, EncodedRows* encoded,
                  std::vector<float>* decoded);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_BLOCKS_H_
