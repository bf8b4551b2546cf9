// Compares the rows of schema/number_format with the table in FORMAT.md.
#include "schema/number_format.h"

#include <gtest/gtest.h>
#include <tied/tied.h>

#include <ostream>

namespace tied::format {
namespace {

struct Expected {
  DataType type;
  tied_type number;
  const char* name;
  size_t element_size;    // of tensors
  uint64_t row_bytes[3];  // of rows of 1, 32 and 33 columns
  bool quantised;
};
std::ostream& operator<<(std::ostream& out, const Expected& expected) { return out << expected.name; }

const Expected kExpected[] = {
    {DataType::Float32, TIED_FLOAT32, "float32", 4, {4, 128, 132}, false},
    {DataType::Float16, TIED_FLOAT16, "float16", 0, {2, 64, 66}, false},
    {DataType::BFloat16, TIED_BFLOAT16, "bfloat16", 0, {2, 64, 66}, false},
    {DataType::Int8, TIED_INT8, "int8", 0, {1, 32, 33}, true},
    {DataType::Uint8, TIED_UINT8, "uint8", 0, {1, 32, 33}, true},
    {DataType::Int4, TIED_INT4, "int4", 0, {16, 16, 32}, true},
    {DataType::Int32, TIED_INT32, "int32", 4, {0, 0, 0}, false},
    {DataType::Int64, TIED_INT64, "int64", 8, {0, 0, 0}, false},
    {DataType::Bool, TIED_BOOL, "bool", 1, {0, 0, 0}, false},
    {DataType::Undefined, 0, "unknown type", 0, {0, 0, 0}, false},
};

class Formats : public testing::TestWithParam<Expected> {};

TEST_P(Formats, AreThoseOfTheDocument) {
  const Expected& expected = GetParam();
  EXPECT_EQ(static_cast<tied_type>(expected.type), expected.number);
  EXPECT_STREQ(NameOf(expected.type), expected.name);
  EXPECT_EQ(ElementSize(expected.type), expected.element_size);
  EXPECT_EQ(RowBytes(expected.type, 1), expected.row_bytes[0]);
  EXPECT_EQ(RowBytes(expected.type, 32), expected.row_bytes[1]);
  EXPECT_EQ(RowBytes(expected.type, 33), expected.row_bytes[2]);
  const NumberFormat* format = FindFormat(expected.type);
  EXPECT_EQ(format != nullptr && format->is_quantised, expected.quantised);
}

INSTANTIATE_TEST_SUITE_P(All, Formats, testing::ValuesIn(kExpected));

TEST(Scales, AreOfWhatTheirNumberSays) {
  struct {
    DataType type, scale_type;
    uint64_t scales, rows, cols;
    ScaleOf scale_of;
  } const counts[] = {
      {DataType::Int8, DataType::Float32, 1, 7, 64, ScaleOf::kTable},
      {DataType::Int8, DataType::Float32, 7, 7, 64, ScaleOf::kRow},
      {DataType::Int8, DataType::Float32, 14, 7, 64, ScaleOf::kBlock},
      {DataType::Uint8, DataType::Float32, 21, 7, 65, ScaleOf::kBlock},
      {DataType::Int8, DataType::Float32, 1, 1, 64, ScaleOf::kTable},
      {DataType::Int8, DataType::Float32, 7, 7, 32, ScaleOf::kRow},
      {DataType::Int8, DataType::Float16, 7, 7, 32, ScaleOf::kBlock},
      {DataType::Uint8, DataType::Float16, 1, 1, 32, ScaleOf::kBlock},
      {DataType::Int4, DataType::Float32, 1, 1, 32, ScaleOf::kBlock},
      {DataType::Int4, DataType::Float16, 7, 7, 32, ScaleOf::kBlock},
  };
  for (const auto& count : counts) {
    const ScaleOf found = ScaleOfCount(count.type, count.scale_type, count.scales, count.rows, count.cols);
    EXPECT_EQ(found, count.scale_of) << count.scales << " scales, [" << count.rows << ", " << count.cols << "]";
    EXPECT_EQ(ScaleCount(found, count.rows, count.cols), count.scales);
  }
}

}  // namespace
}  // namespace tied::format
