// The columns that a calibrated screen keeps.
#include "converter/output/screen.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "tests/support/oracle.h"
#include "tests/support/temporary_folder.h"

namespace tied::test {
namespace {

constexpr size_t kCols = 80;

class CalibratedColumns : public testing::Test {
 protected:
  // A file of hidden states, [tokens, kCols], whose columns 5, 9, 13, … 65 are `factor` times as large.
  std::string Write(size_t tokens, float factor, const std::string& header = "", float last = 1) const {
    std::vector<float> hidden = MakeNumbers(Numbers::kNormal, tokens * kCols, 3);
    for (const uint32_t column : columns_) {
      for (size_t t = 0; t < tokens; ++t) hidden[t * kCols + column] *= factor;
    }
    hidden.back() = last;
    const std::string path = folder_.Path("hidden");
    std::ofstream file(path, std::ios::binary);
    file << header;
    file.write(reinterpret_cast<const char*>(hidden.data()),
               static_cast<std::streamsize>(hidden.size() * sizeof(float)));
    return path;
  }

  static std::string NpyHeader(const std::string& descr, const std::string& shape = "(20, 80)") {
    std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }";
    text.resize(117, ' ');
    return std::string("\x93NUMPY\x01\x00\x76\x00", 10) + text + "\n";
  }

  const std::vector<uint32_t> columns_ = {5, 9, 13, 17, 21, 25, 29, 33, 37, 41, 45, 49, 53, 57, 61, 65};
  TemporaryFolder folder_;
};

TEST_F(CalibratedColumns, AreThoseWithTheLargestSquares) {
  EXPECT_EQ(converter::CalibratedColumns(Write(20, 100), kCols), columns_);
  EXPECT_EQ(converter::CalibratedColumns(Write(1, 100), kCols), columns_);
  EXPECT_EQ(converter::CalibratedColumns(Write(20, 100, NpyHeader("<f4")), kCols), columns_);
}

TEST_F(CalibratedColumns, AreNoneWhereNoneStandOut) {
  EXPECT_TRUE(converter::CalibratedColumns(Write(200, 1), 400).empty());
  EXPECT_TRUE(converter::CalibratedColumns(Write(20, 100), 20).empty());
}

TEST_F(CalibratedColumns, RefuseWhatIsNotHiddenStates) {
  const auto refusal = [](const std::string& path, uint64_t cols) -> std::string {
    try {
      converter::CalibratedColumns(path, cols);
    } catch (const converter::ConvertError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_NE(refusal(Write(20, 1), 81).find("not a multiple"), std::string::npos);
  EXPECT_NE(refusal(Write(20, 1, "", NAN), kCols).find("token 19 is not finite at column 79"), std::string::npos);
  EXPECT_NE(refusal(Write(20, 1, NpyHeader("<f8")), kCols).find("float32 in C order"), std::string::npos);
  EXPECT_NE(refusal(Write(20, 1, NpyHeader("<f4", "(40, 40)")), kCols).find("[tokens, 80]"), std::string::npos);
  EXPECT_NE(refusal(Write(20, 1, NpyHeader("<f4", "(30, 80)")), kCols).find("its shape needs"), std::string::npos);
  EXPECT_NE(refusal(Write(20, 1, NpyHeader("<f4", "()")), kCols).find("is missing"), std::string::npos);
}

}  // namespace
}  // namespace tied::test
