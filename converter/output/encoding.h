// Rows of float32 in the number format of a file (schema/FORMAT.md), and their screen.
#ifndef TIED_CONVERTER_OUTPUT_ENCODING_H_
#define TIED_CONVERTER_OUTPUT_ENCODING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "converter/graph/table_source.h"
#include "schema/number_format.h"

namespace tied::converter {

struct TableEncoding {
  format::DataType type = format::DataType::Float32;
  bool screen = false;                               // of float types
  bool lossless = true;                              // every value of the source survives
  bool copied = false;                               // a quantised table as it is: CopyRows()
  format::ScaleOf scale_of = format::ScaleOf::kRow;  // of Int8 and Uint8
  bool zero_points = false;                          // as many as there are scales
};

// A block of rows, plane by plane; empty for planes that the encoding does not have.
struct EncodedRows {
  std::vector<char> values;
  std::vector<float> scales;
  std::vector<char> zero_points;
  std::vector<int8_t> screen;
  std::vector<float> screen_scales;
  std::vector<float> residual_norms;
};

// Bytes of the planes of a whole table; 0 for those that the encoding does not have.
struct EncodedSizes {
  uint64_t values;
  uint64_t scales;
  uint64_t zero_points;
  uint64_t screen;
  uint64_t screen_scales;
  uint64_t residual_norms;
};
EncodedSizes SizesOf(const TableEncoding& encoding, uint64_t rows, uint64_t cols);

// What is wrong with a row of a block; its number is one of those that the source gives.
class RowError : public ConvertError {
 public:
  RowError(uint64_t row, const std::string& why)
      : ConvertError("row " + std::to_string(row) + " of the table " + why), row_(row), why_(why) {}

  uint64_t row() const { return row_; }
  const std::string& why() const { return why_; }

 private:
  uint64_t row_;
  std::string why_;
};

// Returns what the encoded values mean, [count, cols]: the block's own, or in `decoded`. Throws RowError for NaN and
// infinity where the format has none, and for numbers beyond its range.
const float* EncodeRows(const TableEncoding& encoding, const RowBlock& block, size_t cols, EncodedRows* encoded,
                        std::vector<float>* decoded);

// The encoding in which a quantised table stays as it is, to the bit. Throws ConvertError, which says why, if the file
// format has none.
TableEncoding EncodingOf(const TableSource& table);

// As EncodeRows() in that encoding: integers, scales and zero points are copied.
const float* CopyRows(const TableEncoding& encoding, const TableSource& table, const RowBlock& block,
                      EncodedRows* encoded);

// Which narrower float types every value of a table survives, to the bit. Reads it once, or until neither does.
struct LosslessTypes {
  bool float16 = true;
  bool bfloat16 = true;
};
LosslessTypes FindLosslessTypes(const TableSource& table, const Progress& progress);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_ENCODING_H_
