#include "tests/tools/tied/command.h"
#include "tests/tools/tied/npy_bytes.h"

namespace tied::test {
namespace {

class Run : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    Write("ids.npy", NpyIds("(1, 2)", {7, 3}));
    Write("h.npy", NpyFloats("(2, 1, 6)", hidden_));
    Write("true.npy", NpyOf("|b1", "(1,)", "\1"));
  }

  const std::vector<float> hidden_ = ExactHidden(2 * 6);
};

TEST_F(Run, ByName) {
  const ChildOutcome outcome = Tied({"run", "model.tied", "--entry", "embed", "--input", "input_ids=ids.npy",
                                     "--output", "embeddings=e.npy", "--output", "logits=y.npy"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_NE(SplitNpy(Read("e.npy")).header.find("(1, 2, 6)"), std::string::npos);
  EXPECT_EQ(SplitNpy(Read("e.npy")).Values<float>(), model_.Embed({7, 3}));
  EXPECT_NE(SplitNpy(Read("y.npy")).header.find("(0,)"), std::string::npos);
}

TEST_F(Run, BySelectorFromTheCommandLineOrAFile) {
  EXPECT_EQ(Tied({"run", "model.tied", "--input", "pre_logits=h.npy", "--input", "use_embedding=false", "--output",
                  "logits=y.npy"})
                .exit_code,
            0);
  EXPECT_NE(SplitNpy(Read("y.npy")).header.find("(2, 1, 19)"), std::string::npos);
  EXPECT_EQ(SplitNpy(Read("y.npy")).Values<float>(), model_.Logits(hidden_));
  EXPECT_EQ(Tied({"run", "model.tied", "--input", "input_ids=ids.npy", "--input", "use_embedding=true.npy", "--output",
                  "embeddings=e.npy"})
                .exit_code,
            0);
  EXPECT_EQ(SplitNpy(Read("e.npy")).Values<float>(), model_.Embed({7, 3}));
}

TEST_F(Run, ThroughPipes) {
  const ChildOutcome outcome =
      Tied({"run", "model.tied", "--entry", "head", "--input", "pre_logits=-", "--output", "logits=-"},
           NpyFloats("(2, 1, 6)", hidden_));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(SplitNpy(outcome.out).Values<float>(), model_.Logits(hidden_));
}

TEST_F(Run, Summary) {
  const nlohmann::json json = TiedJson({"run", "model.tied", "--entry", "head", "--input", "pre_logits=h.npy",
                                        "--output", "logits", "--output", "embeddings", "--json"});
  EXPECT_EQ(json["outputs"][0]["name"], "logits");
  EXPECT_EQ(json["outputs"][0]["shape"], nlohmann::json({2, 1, 19}));
  EXPECT_EQ(json["outputs"][0]["first"][0], model_.Logits(hidden_)[0]);
  EXPECT_EQ(json["outputs"][1]["shape"], nlohmann::json::array({0}));
  EXPECT_TRUE(json["outputs"][1]["min"].is_null());
}

TEST_F(Run, ShowsBooleans) {
  TiedFile file = model_.MakeFile();
  auto flag = std::make_unique<format::ValueInfoT>(*file.header.outputs[0]);
  flag->name = "flag";
  flag->type = format::DataType::Bool;
  flag->dims.resize(1);
  file.header.outputs.push_back(std::move(flag));
  auto op = std::make_unique<format::OpT>(*file.header.entry_points[0]->ops[1]);
  op->operation.AsConstant()->data = {1, 0, 1};
  op->output = 2;
  op->output_dims = {format::OutputDim(format::DimRule::Constant, 3)};
  file.header.entry_points[0]->ops.push_back(std::move(op));
  Write("flag.tied", file.Bytes());
  const nlohmann::json json = TiedJson({"run", "flag.tied", "--entry", "embed", "--output", "flag", "--json"});
  EXPECT_EQ(json["outputs"][0]["first"], nlohmann::json({true, false, true})) << json;
}

TEST_F(Run, FailuresNameTheirCauseAndWriteNothing) {
  const std::vector<std::string> start = {"run", "model.tied", "--output", "embeddings=e.npy"};
  const auto expect = [&](std::vector<std::string> args, const std::vector<std::string>& words) {
    args.insert(args.begin(), start.begin(), start.end());
    ExpectFailure(args, 1, words);
  };
  expect({"--entry", "decode", "--input", "input_ids=ids.npy"}, {"decode"});
  expect({"--input", "input_ids=ids.npy"}, {"tied run"});
  expect({"--entry", "embed"}, {"input_ids"});
  expect({"--entry", "embed", "--input", "tokens=ids.npy"}, {"tokens"});
  expect({"--entry", "embed", "--input", "input_ids=h.npy"},
         {"input_ids", "element type float32; the graph expects int64"});
  expect({"--entry", "embed", "--input", "input_ids=none.npy"}, {"none.npy"});
  expect({"--entry", "embed", "--input", "input_ids=ids.npy", "--input", "use_embedding=false"}, {"use_embedding"});
  expect({"--entry", "embed", "--input", "input_ids=ids.npy", "--output", "scores=s.npy"}, {"scores"});
  Write("nine.npy", NpyIds("(1, 1, 1, 1, 1, 1, 1, 1, 1)", {1}));
  expect({"--entry", "embed", "--input", "input_ids=nine.npy"}, {"nine.npy", "9 dimensions"});
  Write("large.npy", NpyIds("(1, 1)", {19}));
  expect({"--entry", "embed", "--input", "input_ids=large.npy"}, {"19"});
}

}  // namespace
}  // namespace tied::test
