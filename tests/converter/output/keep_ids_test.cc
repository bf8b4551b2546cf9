// Compares conversions of only some rows with conversions of all rows.
#include "converter/output/keep_ids.h"

#include <cmath>
#include <fstream>
#include <tied/tied.hpp>

#include "base/error.h"
#include "converter/model_reader.h"
#include "converter/output/id_list.h"
#include "tests/converter/conversion.h"
#include "tests/support/oracle.h"

namespace tied::test {
namespace {

using converter::NumberFormat;

constexpr char kIds[] = "36, 3-9 # at the end, in front\n20 22\t5\n\n";
const std::vector<uint32_t> kKept = {3, 4, 5, 6, 7, 8, 9, 20, 22, 36};

// Embeddings and logits have the same bits as with all rows.
class KeepIds : public ConversionTest {
 protected:
  void ExpectTheSameBits(const onnx::ModelProto& model, NumberFormat format, bool screen = false) const {
    Save(model, Path("model.onnx"));
    ConvertKeeping("0-36", format, screen);
    ASSERT_EQ(rename(Path("kept.tied").c_str(), Path("full.tied").c_str()), 0);
    ConvertKeeping(kIds, format, screen);
    const Model full = Model::Open(Path("full.tied")), kept = Model::Open(Path("kept.tied"));
    kept.Verify();
    for (size_t i = 0; i < full.Info().table_count; ++i) {
      EXPECT_EQ(full.Table(i).ids.length, 0u);
      EXPECT_EQ(full.Table(i).vocabulary, full.Table(i).rows);
      const tied_table_info table = kept.Table(i);
      EXPECT_EQ(table.vocabulary, static_cast<uint64_t>(kRows));
      EXPECT_EQ(std::vector<uint32_t>(table.id_of_row, table.id_of_row + table.rows), kKept);
    }
    const std::vector<int64_t> ids(kKept.begin(), kKept.end());
    Session full_session(full), session(kept);
    EXPECT_EQ(session.Embed(ids), full_session.Embed(ids));
    EXPECT_THROW(session.Embed(std::vector<int64_t>{10}), Error);
    const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, 3 * size_t{kCols}, 9);
    std::vector<float> expected = full_session.Logits(hidden);
    for (size_t i = 0; i < expected.size(); ++i) {
      if (std::count(kKept.begin(), kKept.end(), i % kRows) == 0) expected[i] = -INFINITY;
    }
    EXPECT_EQ(session.Logits(hidden), expected);
  }
};

class Storages : public KeepIds, public testing::WithParamInterface<Storage> {};

TEST_P(Storages, KeepTheBits) {
  ModelForm form;
  form.storage = GetParam();
  form.head = {"wt = Transpose(W)", "y = MatMul(pre_logits, wt)", "L = Add(y, bias)"};
  ExpectTheSameBits(MakeModel(form, Folder()), NumberFormat::kFloat32);
}
INSTANTIATE_TEST_SUITE_P(All, Storages,
                         testing::Values(Storage::kRaw, Storage::kTyped, Storage::kConstantNodes, Storage::kRepeated,
                                         Storage::kExternal));

class Encodings : public KeepIds, public testing::WithParamInterface<std::pair<NumberFormat, bool>> {};

TEST_P(Encodings, KeepTheBits) { ExpectTheSameBits(MakeModel({}, Folder()), GetParam().first, GetParam().second); }
INSTANTIATE_TEST_SUITE_P(
    All, Encodings,
    testing::Values(std::pair(NumberFormat::kFloat32, true), std::pair(NumberFormat::kFloat16, false),
                    std::pair(NumberFormat::kBFloat16, true), std::pair(NumberFormat::kInt8, false),
                    std::pair(NumberFormat::kInt8Blocks, false), std::pair(NumberFormat::kInt4, false)));

TEST_F(KeepIds, BothOfTwoTablesOneOfThemStoredTransposed) {
  ModelForm form;
  form.head = {"L = MatMul(pre_logits, Wt)"};
  onnx::ModelProto model = MakeModel(form, Folder());
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.name() == "Wt") (*tensor.mutable_raw_data())[5] ^= 1;
  }
  ExpectTheSameBits(model, NumberFormat::kFloat32);
  EXPECT_EQ(Model::Open(Path("kept.tied")).Info().table_count, 2u);
}

TEST_F(KeepIds, TheFirstOnesNeedNoList) {
  Save(MakeModel({}, Folder()), Path("model.onnx"));
  ConvertKeeping("0-29");
  const tied_table_info table = Model::Open(Path("kept.tied")).Table(0);
  EXPECT_EQ(table.rows, 30u);
  EXPECT_EQ(table.vocabulary, static_cast<uint64_t>(kRows));
  EXPECT_EQ(table.ids.length, 0u);
}

// An int8 table with one scale and one zero point. With a single row, all writing threads but one have no rows.
TEST_F(KeepIds, OneScaleIsThereForOneRow) {
  ModelForm form;
  form.head = {"w = DequantizeLinear(W, scale, zero)", "wt = Transpose(w)", "L = MatMul(pre_logits, wt)"};
  form.embed = {"w = DequantizeLinear(W, scale, zero)", "E = Gather(w, input_ids)"};
  onnx::ModelProto model = MakeModel(form, Folder());
  for (onnx::TensorProto& tensor : *model.mutable_graph()->mutable_initializer()) {
    if (tensor.name() != "W") continue;
    tensor.set_data_type(onnx::TensorProto::INT8);
    tensor.mutable_raw_data()->resize(size_t{kRows * kCols});
  }
  onnx::TensorProto* zero = model.mutable_graph()->add_initializer();
  zero->set_name("zero");
  zero->set_data_type(onnx::TensorProto::INT8);
  zero->set_raw_data("\5");
  ExpectTheSameBits(model, NumberFormat::kAuto);
  ConvertKeeping("5", NumberFormat::kAuto);
  const Model full = Model::Open(Path("full.tied")), kept = Model::Open(Path("kept.tied"));
  kept.Verify();
  const std::vector<int64_t> id = {5};
  EXPECT_EQ(Session(kept).Embed(id), Session(full).Embed(id));
}

TEST_F(KeepIds, AByteOrderMarkIsNoId) {
  Save(MakeModel({}, Folder()), Path("model.onnx"));
  ConvertKeeping(
      "\xEF\xBB\xBF"
      "3-5\r\n");
  EXPECT_EQ(Model::Open(Path("kept.tied")).Table(0).rows, 3u);
}

TEST_F(KeepIds, DropIsTheOpposite) {
  Save(MakeModel({}, Folder()), Path("model.onnx"));
  const auto progress = [](uint64_t, uint64_t) {};
  const converter::Graph graph = converter::ReadModel(Path("model.onnx"));
  converter::Plan plan = converter::MakePlan(graph, Path("model.onnx"), false, progress);
  std::ofstream(Path("drop.txt")) << "0-2 10-19 21 23-35";
  converter::DropIds(&plan, Path("drop.txt"));
  EXPECT_EQ(*plan.tables[0].kept_ids, kKept);
}

TEST_F(KeepIds, NumbersThatDoNotFitAreNamedByTheirId) {
  onnx::ModelProto model = MakeModel({}, Folder());
  std::vector<float> table = Table();
  table[22 * kCols] = INFINITY;
  *model.mutable_graph()->mutable_initializer(0) = RawTensor("W", {kRows, kCols}, table);
  Save(model, Path("model.onnx"));
  try {
    ConvertKeeping(kIds, NumberFormat::kInt8);
    FAIL();
  } catch (const converter::ConvertError& error) {
    EXPECT_EQ(std::string(error.what()).rfind("row 22 of the table is not finite", 0), 0u) << error.what();
  }
  ConvertKeeping("0-21 23-36");
}

struct BadList {
  const char* name;
  const char* text;
  const char* message;
};
std::ostream& operator<<(std::ostream& out, const BadList& list) { return out << list.name; }

class BadLists : public KeepIds, public testing::WithParamInterface<BadList> {};

TEST_P(BadLists, AreRefusedWithTheirLine) {
  Save(MakeModel({}, Folder()), Path("model.onnx"));
  try {
    ConvertKeeping(GetParam().text);
    FAIL();
  } catch (const converter::ConvertError& error) {
    EXPECT_NE(std::string(error.what()).find(GetParam().message), std::string::npos) << error.what();
  }
  EXPECT_EQ(Files(), (std::vector<std::string>{"keep.txt", "model.onnx"}));
}
const BadList kBadLists[] = {
    {"Empty", "", "no token id of table 'W' is left"},
    {"CommentsAlone", "# 1 2 3\n", "no token id"},
    {"Word", "1\n2 x\n", "keep.txt:2: 'x' is neither"},
    {"Negative", "-5", "keep.txt:1: '-5' is neither"},
    {"Backwards", "1\n\n9-7", "keep.txt:3: '9-7' is neither"},
    {"OpenRange", "9-", "'9-' is neither"},
    {"TwoRanges", "1-2-3", "'1-2-3' is neither"},
    {"Fraction", "1.5", "'1.5' is neither"},
    {"Beyond", "1\n37", "keep.txt:2: token id 37 is not in [0, 37)"},
    {"RangeBeyond", "30-37", "token id 37 is not in"},
    {"Huge", "99999999999999999999", "is neither"},
    {"ByteOrderMarkOfUtf16",
     "\xFF\xFE"
     "1",
     "is neither"},
    {"ByteOrderMarkInTheMiddle",
     "1\n\xEF\xBB\xBF"
     "2",
     "keep.txt:2: "},
};
INSTANTIATE_TEST_SUITE_P(All, BadLists, testing::ValuesIn(kBadLists), testing::PrintToStringParamName());

TEST_F(KeepIds, AFileWithoutEndIsRefused) {
  EXPECT_THROW(converter::ReadIdFile("/dev/zero", 37), converter::ConvertError);
}

TEST_F(KeepIds, AWordWithoutEndIsNotRepeated) {
  std::ofstream(Path("ids")) << std::string(100000, '1');
  try {
    converter::ReadIdFile(Path("ids"), 37);
    FAIL();
  } catch (const converter::ConvertError& error) {
    EXPECT_EQ(error.what(), Path("ids") + ":1: '" + std::string(64, '1') + "...' is neither a token id nor a range");
  }
}

TEST(IdList, FormatsWhatItReads) {
  EXPECT_EQ(converter::FormatIds({1, 2, 3, 7, 9, 10}), "1-3\n7\n9-10\n");
  EXPECT_EQ(converter::FormatIds({}), "");
}

}  // namespace
}  // namespace tied::test
