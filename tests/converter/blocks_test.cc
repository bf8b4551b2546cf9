// Tables in blocks whose scales run down the columns of a stored transpose, and tables padded to whole blocks.
#include "tests/converter/conversion.h"

namespace tied::test {
namespace {

constexpr int64_t kWidth = 80, kBlock = 32, kPerRow = 3;  // the last block of a row is half empty
constexpr int64_t kPadded = kBlock * kPerRow;

unsigned char IntegerAt(int64_t row, int64_t col) { return static_cast<unsigned char>((row * 41 + col * 17) % 256); }
float ScaleAt(int64_t row, int64_t block) { return static_cast<float>(1 + (row * kPerRow + block) % 7) / 16; }
unsigned char ZeroAt(int64_t row, int64_t block) { return static_cast<unsigned char>(100 + row + block); }

class BlockForms : public ConversionTest {
 protected:
  onnx::ModelProto Make(const Lines& lines) {
    onnx::ModelProto model;
    model.set_ir_version(10);
    model.add_opset_import()->set_version(21);
    onnx::OperatorSetIdProto* contrib = model.add_opset_import();
    contrib->set_domain("com.microsoft");
    contrib->set_version(1);
    onnx::GraphProto* graph = model.mutable_graph();
    graph->set_name("pair");
    AddValue(graph->mutable_input(), "input_ids", onnx::TensorProto::INT64, {-1, -1});
    AddValue(graph->mutable_input(), "pre_logits", onnx::TensorProto::FLOAT, {-1, -1, kWidth});
    AddValue(graph->mutable_output(), "E", onnx::TensorProto::FLOAT, {-1, -1, kWidth});
    AddValue(graph->mutable_output(), "L", onnx::TensorProto::FLOAT, {-1, -1, kRows});
    AddNodes(graph, lines);
    return model;
  }

  // zero: of each block, or the middle of the range.
  void ExpectRight(const onnx::ModelProto& model, bool has_zeros) {
    Convert(model);
    EXPECT_EQ(TableCount(), 1u);
    std::vector<int64_t> ids(kRows);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i);
    const std::vector<float> rows = RunEmbedding(ids, {1, kRows});
    ASSERT_EQ(rows.size(), static_cast<size_t>(kRows * kWidth));
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t col = 0; col < kWidth; ++col) {
        const int zero = has_zeros ? ZeroAt(row, col / kBlock) : 128;
        const float expected = static_cast<float>(IntegerAt(row, col) - zero) * ScaleAt(row, col / kBlock);
        ASSERT_EQ(rows[static_cast<size_t>(row * kWidth + col)], expected) << row << ", " << col;
      }
    }
    EXPECT_TRUE(Check());
  }
};

TEST_F(BlockForms, RunDownTheColumnsOfATranspose) {
  for (const bool has_zeros : {false, true}) {
    const std::string zeros = has_zeros ? ", zeros" : ", middle";
    onnx::ModelProto model = Make({"d = DequantizeLinear(W, scales" + zeros + ") {axis=0, block_size=32}",
                                   "t = Transpose(d)", "E = Gather(t, input_ids)", "L = MatMul(pre_logits, d)"});
    std::string integers, zero_points;
    std::vector<float> scales;
    for (int64_t col = 0; col < kWidth; ++col) {
      for (int64_t row = 0; row < kRows; ++row) integers += static_cast<char>(IntegerAt(row, col));
    }
    for (int64_t block = 0; block < kPerRow; ++block) {
      for (int64_t row = 0; row < kRows; ++row) {
        scales.push_back(ScaleAt(row, block));
        zero_points += static_cast<char>(ZeroAt(row, block));
      }
    }
    onnx::GraphProto* graph = model.mutable_graph();
    *graph->add_initializer() = BytesTensor("W", {kWidth, kRows}, integers);
    *graph->add_initializer() = RawTensor("scales", {kPerRow, kRows}, scales);
    *graph->add_initializer() = BytesTensor("zeros", {kPerRow, kRows}, zero_points);
    *graph->add_initializer() = BytesTensor("middle", {kPerRow, kRows}, std::string(zero_points.size(), '\x80'));
    ExpectRight(model, has_zeros);
  }
}

// The embedding's rows are padded to whole blocks and cut; the head pads its rows itself.
TEST_F(BlockForms, MayBePaddedAndCut) {
  for (const bool has_zeros : {false, true}) {
    const std::string zeros = has_zeros ? ", zeros" : "";
    onnx::ModelProto model =
        Make({"g = com.microsoft.GatherBlockQuantized(W, input_ids, scales" + zeros + ") {bits=8, block_size=32}",
              "E = Slice(g, start, end, axis)",
              "L = com.microsoft.MatMulNBits(pre_logits, B, scales" + zeros + ") {N=37, K=80, bits=8, block_size=32}"});
    std::string integers, zero_points;
    std::vector<float> scales;
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t col = 0; col < kPadded; ++col) integers += static_cast<char>(IntegerAt(row, col));
      for (int64_t block = 0; block < kPerRow; ++block) {
        scales.push_back(ScaleAt(row, block));
        zero_points += static_cast<char>(ZeroAt(row, block));
      }
    }
    onnx::GraphProto* graph = model.mutable_graph();
    *graph->add_initializer() = BytesTensor("W", {kRows, kPadded}, integers);
    *graph->add_initializer() = BytesTensor("B", {kRows, kPerRow, kBlock}, integers);
    *graph->add_initializer() = RawTensor("scales", {kRows, kPerRow}, scales);
    *graph->add_initializer() = BytesTensor("zeros", {kRows, kPerRow}, zero_points);
    *graph->add_initializer() = IntTensor("start", {0});
    *graph->add_initializer() = IntTensor("end", {kWidth});
    *graph->add_initializer() = IntTensor("axis", {-1});
    ExpectRight(model, has_zeros);
  }
}

}  // namespace
}  // namespace tied::test
