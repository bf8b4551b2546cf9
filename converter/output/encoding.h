// Encodes rows of float32 in the number format of a file (schema/FORMAT.md), and makes their screen.
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
  bool screen = false;                               // not for tables in blocks
  std::vector<uint32_t> screen_columns = {};         // none, or kScreenColumns, ascending: see tied.fbs
  bool lossless = true;                              // every value of the source is kept exactly
  bool copied = false;                               // a quantised table is copied unchanged, with CopyRows()
  format::ScaleOf scale_of = format::ScaleOf::kRow;  // for Int8 and Uint8
  bool zero_points = false;                          // store one zero point per scale; new Int4 tables have them
  bool half_scales = false;                          // float16 instead of float32; only in blocks
  std::vector<float> column_weights{};               // of squared errors, for tables in blocks; empty: all the same
};

// A block of rows, by plane; planes that the encoding does not have are empty.
struct EncodedRows {
  std::vector<char> values;
  std::vector<float> scales;          // float32, or
  std::vector<uint16_t> half_scales;  // float16
  std::vector<char> zero_points;
  std::vector<char> upper;
  std::vector<char> lower;
  std::vector<float> screen_scales;
  std::vector<float> upper_norms;
  std::vector<float> norms;
  std::vector<int8_t> column_values;
  std::vector<float> column_scales;
};

// Bytes of the planes of a whole table; 0 for planes that the encoding does not have.
struct EncodedSizes {
  uint64_t values;
  uint64_t scales;
  uint64_t zero_points;
  uint64_t upper;
  uint64_t lower;
  uint64_t screen_scales;
  uint64_t upper_norms;
  uint64_t norms;
  uint64_t column_values;
  uint64_t column_scales;
};
EncodedSizes SizesOf(const TableEncoding& encoding, uint64_t rows, uint64_t cols);

// An error in a row of a block. The number is the row's index in the source.
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

// Encodes a block. Returns the decoded values, [count, cols]: in the block itself if nothing was rounded, otherwise in
// `decoded`. Throws RowError for NaN and infinity if the format has none, and for numbers out of its range.
const float* EncodeRows(const TableEncoding& encoding, const RowBlock& block, size_t cols, EncodedRows* encoded,
                        std::vector<float>* decoded);

// The encoding that keeps a quantised table unchanged. Throws ConvertError with the reason if the file format has none.
TableEncoding EncodingOf(const TableSource& table);

// EncodeRows() for that encoding: copies integers, scales and zero points.
const float* CopyRows(const TableEncoding& encoding, const TableSource& table, const RowBlock& block,
                      EncodedRows* encoded);

// The narrower float types that represent every value of a table exactly. Reads the table until neither does.
struct LosslessTypes {
  bool float16 = true;
  bool bfloat16 = true;
};
LosslessTypes FindLosslessTypes(const TableSource& table, const Progress& progress);

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_ENCODING_H_
