// Makes the screen of a table: two planes of nibbles and the bounds of their errors (schema/tied.fbs).
#ifndef TIED_CONVERTER_OUTPUT_SCREEN_H_
#define TIED_CONVERTER_OUTPUT_SCREEN_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "converter/graph/table_source.h"
#include "converter/output/encoding.h"

namespace tied::converter {

// Fills the planes of the screen for a block of rows, of which encoded->values holds the encoded ones. meant: [count,
// cols], the values that the file stores. Bytes of int8 and uint8 tables are split into nibbles. Throws RowError for
// floats that are not finite, and for norms that float32 cannot hold.
void EncodeScreen(const TableEncoding& encoding, const float* meant, const RowBlock& block, size_t cols,
                  EncodedRows* encoded);

// The columns in which hidden states of a sample are largest, ascending, for TableEncoding::screen_columns; none if
// they hold too small a part of the sample to be worth their bytes. path: float32 [tokens, cols], .npy or raw.
std::vector<uint32_t> CalibratedColumns(const std::string& path, uint64_t cols);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_SCREEN_H_
