// Damaged, foreign and malicious files. Each is refused with a message that names the error.
#include <cmath>
#include <functional>
#include <string>

#include "tests/runtime/model_fixture.h"

namespace tied::test {
namespace {

namespace fb = tied::format;

const TestModel kModel(19, 6);

TEST(InvalidFile, EveryTruncationIsRefused) {
  const std::string file = kModel.File();
  for (size_t length = 0; length < file.size(); length += length < 2000 ? 1 : 997) {
    const Failure failure = OpenFailure(file.substr(0, length));
    EXPECT_EQ(failure.status, TIED_CORRUPT) << length << ": " << failure.message;
  }
  EXPECT_EQ(OpenFailure(file + "x").status, TIED_CORRUPT);
  EXPECT_EQ(OpenFailure(file).status, TIED_OK);
}

TEST(InvalidFile, EveryFlippedBitOfTheHeaderIsRefused) {
  const std::string file = kModel.File();
  uint32_t header_length = 0;
  std::memcpy(&header_length, file.data() + 12, sizeof header_length);
  for (size_t bit = 0; bit < 8 * (32 + size_t{header_length}); ++bit) {
    std::string flipped = file;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    const Failure failure = OpenFailure(flipped);
    const bool version = bit / 32 == 2;
    EXPECT_EQ(failure.status, version ? TIED_UNSUPPORTED : TIED_CORRUPT) << bit << ": " << failure.message;
  }
}

TEST(InvalidFile, AnotherVersionIsNamed) {
  for (const auto& [version, advice] :
       {std::pair<uint32_t, const char*>(1, "version 1"), {1, "Convert the model again"}, {3, "version 3"}}) {
    const Failure failure = OpenFailure(WithPreamble("flatbuffer", 42, version));
    EXPECT_EQ(failure.status, TIED_UNSUPPORTED);
    EXPECT_NE(failure.message.find(advice), std::string::npos) << failure.message;
  }
}

TEST(InvalidFile, GarbageWithARightHashIsRefusedByTheVerifier) {
  for (const size_t length : {0u, 1u, 7u, 64u, 4096u}) {
    const Failure failure = OpenFailure(WithPreamble(std::string(length, '\x7f'), 32 + length));
    EXPECT_EQ(failure.status, TIED_CORRUPT);
    EXPECT_NE(failure.message.find("flatbuffer"), std::string::npos) << failure.message;
  }
}

// A well-formed header with wrong content.
struct Lie {
  const char* name;
  std::function<void(fb::HeaderT&)> tell;
  tied_status status;
  const char* word;  // in the message
};

std::ostream& operator<<(std::ostream& out, const Lie& lie) { return out << lie.name; }

fb::HeadT& Head(fb::HeaderT& header) { return *header.entry_points[1]->ops[0]->operation.AsHead(); }
fb::EmbeddingT& Embedding(fb::HeaderT& header) { return *header.entry_points[0]->ops[0]->operation.AsEmbedding(); }

void MakeTopk(fb::HeaderT& header, uint32_t k) {
  Head(header).result = fb::HeadResult::TopkIds;
  Head(header).k = k;
  header.outputs[1]->type = fb::DataType::Int64;
}

void MoveValues(fb::HeaderT& header, uint64_t offset, uint64_t length) {
  header.tables[0]->values = std::make_unique<fb::Plane>(offset, length, 0);
}

void AddOperations(fb::HeaderT& header, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    header.entry_points[0]->ops.push_back(std::make_unique<fb::OpT>());
    header.entry_points[0]->ops.back()->operation.Set(fb::ConstantT());
  }
}

const Lie kLies[] = {
    {"NoRows", [](auto& h) { h.tables[0]->rows = 0; }, TIED_CORRUPT, "shape"},
    {"NoCols", [](auto& h) { h.tables[0]->cols = 0; }, TIED_CORRUPT, "shape"},
    {"HugeRows", [](auto& h) { h.tables[0]->rows = uint64_t{1} << 62; }, TIED_CORRUPT, "shape"},
    {"LargestProduct",
     [](auto& h) {
       h.tables[0]->rows = INT32_MAX;
       h.tables[0]->cols = 1 << 30;
     },
     TIED_CORRUPT, "match"},
    {"MoreRowsThanBytes", [](auto& h) { h.tables[0]->rows += 1; }, TIED_CORRUPT, "match"},
    {"UnknownTableType", [](auto& h) { h.tables[0]->type = static_cast<fb::DataType>(77); }, TIED_UNSUPPORTED, "77"},
    {"IntegerTable", [](auto& h) { h.tables[0]->type = fb::DataType::Int32; }, TIED_UNSUPPORTED, "type"},
    {"PlaneInHeader", [](auto& h) { MoveValues(h, 0, 456); }, TIED_CORRUPT, "outside the file"},
    {"PlaneOffPage", [](auto& h) { MoveValues(h, 65536 + 4, 456); }, TIED_CORRUPT, "outside the file"},
    {"PlaneBehindEnd", [](auto& h) { MoveValues(h, 65536 * 100, 456); }, TIED_CORRUPT, "outside the file"},
    {"PlaneThatWraps", [](auto& h) { MoveValues(h, UINT64_MAX - 65535, 65536 + 456); }, TIED_CORRUPT,
     "outside the file"},
    {"PlaneAt2To63", [](auto& h) { MoveValues(h, uint64_t{1} << 63, uint64_t{1} << 63); }, TIED_CORRUPT,
     "outside the file"},
    {"PlanesOverlap", [](auto& h) { Head(h).bias = std::make_unique<fb::Plane>(65536, 76, 0); }, TIED_CORRUPT,
     "overlap"},
    {"TableTwice",
     [](auto& h) {
       h.tables.push_back(std::make_unique<fb::TiedTableT>());
       h.tables[1]->name = "again";
       h.tables[1]->type = h.tables[0]->type;
       h.tables[1]->rows = h.tables[0]->rows;
       h.tables[1]->cols = h.tables[0]->cols;
       h.tables[1]->values = std::make_unique<fb::Plane>(*h.tables[0]->values);
     },
     TIED_CORRUPT, "'again' overlap"},
    {"VocabularyFarAboveRows", [](auto& h) { h.tables[0]->vocabulary = (1 << 22) + 1; }, TIED_CORRUPT,
     "from 19 to 4194304"},
    {"LongName", [](auto& h) { h.tables[0]->name.assign(1025, 'n'); }, TIED_CORRUPT, "1025 bytes"},
    {"HugeCols", [](auto& h) { h.tables[0]->cols = (1 << 30) + 1; }, TIED_CORRUPT, "shape"},
    {"ShortBias", [](auto& h) { Head(h).bias = std::make_unique<fb::Plane>(131072, 72, 0); }, TIED_CORRUPT, "bias"},
    {"EmbeddingOfMissingTable", [](auto& h) { Embedding(h).table = 1; }, TIED_CORRUPT, "table"},
    {"HeadOfMissingTable", [](auto& h) { Head(h).table = UINT32_MAX; }, TIED_CORRUPT, "table"},
    {"ScaleNan", [](auto& h) { Embedding(h).scale = NAN; }, TIED_CORRUPT, "scale"},
    {"ScaleInfinite", [](auto& h) { Embedding(h).scale = INFINITY; }, TIED_CORRUPT, "scale"},
    {"MissingInput", [](auto& h) { h.entry_points[0]->ops[0]->input = 3; }, TIED_CORRUPT, "exist"},
    {"MissingOutput", [](auto& h) { h.entry_points[0]->ops[0]->output = 2; }, TIED_CORRUPT, "exist"},
    {"OutputTwice", [](auto& h) { h.entry_points[0]->ops[1]->output = 0; }, TIED_CORRUPT, "twice"},
    {"EmbeddingOfFloats", [](auto& h) { h.entry_points[0]->ops[0]->input = 1; }, TIED_CORRUPT, "type"},
    {"HiddenOfIntegers", [](auto& h) { h.inputs[1]->type = fb::DataType::Int64; }, TIED_CORRUPT, "type"},
    {"LogitsOfIntegers", [](auto& h) { h.outputs[1]->type = fb::DataType::Int64; }, TIED_CORRUPT, "type"},
    {"KOfNone", [](auto& h) { MakeTopk(h, 0); }, TIED_CORRUPT, "k is 0"},
    {"KAboveRows", [](auto& h) { MakeTopk(h, 20); }, TIED_CORRUPT, "to 19"},
    {"IdsAsFloats",
     [](auto& h) {
       MakeTopk(h, 3);
       h.outputs[1]->type = fb::DataType::Float32;
     },
     TIED_CORRUPT, "type"},
    {"UnknownResult", [](auto& h) { Head(h).result = static_cast<fb::HeadResult>(9); }, TIED_UNSUPPORTED, "9"},
    {"UnknownInputType", [](auto& h) { h.inputs[0]->type = static_cast<fb::DataType>(99); }, TIED_UNSUPPORTED, "99"},
    {"TooManyDims",
     [](auto& h) {
       while (h.inputs[0]->dims.size() < 9) h.inputs[0]->dims.push_back(std::make_unique<fb::DimT>());
     },
     TIED_CORRUPT, "dimensions"},
    {"TwoInferred",
     [](auto& h) {
       for (auto& dim : h.entry_points[1]->ops[0]->output_dims) dim = fb::OutputDim(fb::DimRule::Infer, 0);
     },
     TIED_CORRUPT, "shape"},
    {"NegativeDim",
     [](auto& h) { h.entry_points[1]->ops[0]->output_dims[0] = fb::OutputDim(fb::DimRule::Constant, -1); },
     TIED_CORRUPT, "shape"},
    {"DimOfNoInputDim",
     [](auto& h) { h.entry_points[1]->ops[0]->output_dims[0] = fb::OutputDim(fb::DimRule::InputDim, 3); }, TIED_CORRUPT,
     "shape"},
    {"UnknownDimRule",
     [](auto& h) { h.entry_points[1]->ops[0]->output_dims[0] = fb::OutputDim(static_cast<fb::DimRule>(9), 0); },
     TIED_CORRUPT, "shape"},
    {"ConstantLongerThanItsShape",
     [](auto& h) { h.entry_points[0]->ops[1]->operation.AsConstant()->data = {1, 2, 3, 4, 5, 6, 7, 8}; }, TIED_CORRUPT,
     "constant"},
    {"ConstantOfTwoElementsForAShapeOfAnInput",
     [](auto& h) {
       h.entry_points[0]->ops[1]->output_dims.assign(1, fb::OutputDim(fb::DimRule::InputDim, 0));
       h.entry_points[0]->ops[1]->operation.AsConstant()->data = {1, 2, 3, 4, 5, 6, 7, 8};
     },
     TIED_CORRUPT, "constant"},
    {"ConstantOfAnInferredShape",
     [](auto& h) {
       h.entry_points[0]->ops[1]->output_dims.assign(1, fb::OutputDim(fb::DimRule::Infer, 0));
       h.entry_points[0]->ops[1]->operation.AsConstant()->data = {1, 2, 3, 4};
     },
     TIED_CORRUPT, "constant"},
    {"ConstantOfAShapeOfNoInput",
     [](auto& h) {
       h.entry_points[0]->ops[1]->input = 9;
       h.entry_points[0]->ops[1]->output_dims.assign(1, fb::OutputDim(fb::DimRule::InputDim, 0));
       h.entry_points[0]->ops[1]->operation.AsConstant()->data = {1, 2, 3, 4};
     },
     TIED_CORRUPT, "input 9"},
    {"ConstantThatFillsTooMuch",
     [](auto& h) {
       h.entry_points[0]->ops[1]->output_dims.assign(1, fb::OutputDim(fb::DimRule::Constant, int64_t{1} << 29));
       h.entry_points[0]->ops[1]->operation.AsConstant()->data = {1, 2, 3, 4};
     },
     TIED_CORRUPT, "constant"},
    {"ConstantsThatFillTooMuchTogether",
     [](auto& h) {
       for (uint32_t output : {0u, 1u}) {
         fb::OpT& op = *h.entry_points[0]->ops[output];
         op.output = output;
         op.output_dims.assign(1, fb::OutputDim(fb::DimRule::Constant, (1 << 21) + 1));
         op.operation.Set(fb::ConstantT());
         op.operation.AsConstant()->data = {1, 2, 3, 4};
       }
     },
     TIED_CORRUPT, "constants of 16777224 bytes"},
    {"ConstantShapeThatWraps",
     [](auto& h) {
       h.entry_points[0]->ops[1]->output_dims.assign(2, fb::OutputDim(fb::DimRule::Constant, int64_t{1} << 62));
     },
     TIED_CORRUPT, "constant"},
    {"ConstantBooleanOfTwo",
     [](auto& h) {
       h.outputs[1]->type = fb::DataType::Bool;
       h.entry_points[1]->ops.erase(h.entry_points[1]->ops.begin());
       h.entry_points[0]->ops[1]->output_dims.assign(1, fb::OutputDim(fb::DimRule::Constant, 1));
       h.entry_points[0]->ops[1]->operation.AsConstant()->data = {2};
     },
     TIED_CORRUPT, "constant"},
    {"SelectorNotBoolean", [](auto& h) { h.entry_points[0]->selectors[0]->input = 0; }, TIED_CORRUPT, "Boolean"},
    {"SelectorMissing", [](auto& h) { h.entry_points[0]->selectors[0]->input = 9; }, TIED_CORRUPT, "Boolean"},
    {"SameInputNames", [](auto& h) { h.inputs[1]->name = "input_ids"; }, TIED_CORRUPT, "input_ids"},
    {"SameEntryPointNames", [](auto& h) { h.entry_points[1]->name = "embed"; }, TIED_CORRUPT, "embed"},
    {"EmptyOutputName", [](auto& h) { h.outputs[0]->name = ""; }, TIED_CORRUPT, "name"},
    {"MoreOperationsThanOutputs", [](auto& h) { AddOperations(h, 1); }, TIED_CORRUPT, "more operations"},
    {"TooManyOperations", [](auto& h) { AddOperations(h, 1021); }, TIED_CORRUPT, "1025 operations"},
    {"TooManyInputs",
     [](auto& h) {
       while (h.inputs.size() < 257) {
         h.inputs.push_back(std::make_unique<fb::ValueInfoT>());
         h.inputs.back()->name = std::to_string(h.inputs.size());
         h.inputs.back()->type = fb::DataType::Bool;
       }
     },
     TIED_CORRUPT, "inputs"},
};

class InvalidHeader : public testing::TestWithParam<Lie> {};

TEST_P(InvalidHeader, IsRefusedWithTheReason) {
  TiedFile file = kModel.MakeFile();
  GetParam().tell(file.header);
  const Failure failure = OpenFailure(file.Bytes());
  EXPECT_EQ(failure.status, GetParam().status) << failure.message;
  EXPECT_NE(failure.message.find(GetParam().word), std::string::npos) << failure.message;
}

INSTANTIATE_TEST_SUITE_P(Lies, InvalidHeader, testing::ValuesIn(kLies),
                         [](const auto& lie) { return std::string(lie.param.name); });

TEST(ValidHeader, MayLeaveOutWhatIsOptional) {
  TiedFile file = kModel.MakeFile();
  Head(file.header).bias = nullptr;
  file.header.source.clear();
  file.header.graph.clear();
  file.header.entry_points[0]->selectors.clear();
  EXPECT_EQ(OpenFailure(file.Bytes()).message, "");
}

TEST(ValidHeader, MayHaveScalarsAsOutputs) {
  TiedFile file = kModel.MakeFile();
  file.header.entry_points[0]->ops[1]->output_dims.clear();
  file.header.entry_points[0]->ops[1]->operation.AsConstant()->data = {0, 0, 0, 0};
  EXPECT_EQ(OpenFailure(file.Bytes()).message, "");
}

}  // namespace
}  // namespace tied::test
