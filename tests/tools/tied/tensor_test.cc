// The output of embed, logits and argmax matches FORMAT.md.
#include <algorithm>
#include <limits>

#include "tests/support/launcher.h"
#include "tests/tools/tied/command.h"
#include "tests/tools/tied/npy_bytes.h"

namespace tied::test {
namespace {

using Embed = CliTest;
using Logits = CliTest;
using Argmax = CliTest;
using Output = CliTest;

class LogitsWithFlags : public CliTest, public testing::WithParamInterface<std::vector<std::string>> {};

bool HasShape(const Npy& npy, const std::string& shape) { return npy.header.find(shape) != std::string::npos; }

TEST_F(Embed, IdsFromTheCommandLine) {
  const ChildOutcome outcome = Tied({"embed", "model.tied", "--ids", "2,18,0", "-o", "e.npy"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  const Npy npy = SplitNpy(Read("e.npy"));
  EXPECT_TRUE(HasShape(npy, "(3, 6)")) << npy.header;
  EXPECT_EQ(npy.Values<float>(), model_.Embed({2, 18, 0}));
}

TEST_F(Embed, IdsMayBeSeparateWords) {
  const std::vector<std::vector<std::string>> calls = {
      {"embed", "model.tied", "--ids", "2", "18", "0", "-o", "-"},
      {"embed", "--ids", "2", "18,0", "model.tied", "-o", "-"},
      {"embed", "-o", "-", "--ids=2", "model.tied", "--ids", "18", "0"},
      {"embed", "-o", "-", "--ids", "2,18,0", "model.tied"}};
  for (const std::vector<std::string>& call : calls) {
    const ChildOutcome outcome = Tied(call);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(SplitNpy(outcome.out).Values<float>(), model_.Embed({2, 18, 0}));
  }
  ExpectFailure({"embed", "model.tied", "--ids", "2", "two"}, 2, {"two"});
}

TEST_F(Embed, FlagsMayComeBeforeTheModel) {
  EXPECT_EQ(Tied({"embed", "-o", "e.npy", "--ids", "2,0,18", "model.tied"}).exit_code, 0);
  EXPECT_EQ(SplitNpy(Read("e.npy")).Values<float>(), model_.Embed({2, 0, 18}));
}

TEST_F(Embed, IdsFromFilesKeepTheirShape) {
  Write("wide.npy", NpyIds("(2, 2)", {1, 2, 3, 4}));
  Write("narrow.npy", NpyOf("<i4", "(2, 2)", std::string("\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0", 16)));
  for (const char* ids : {"wide.npy", "narrow.npy"}) {
    EXPECT_EQ(Tied({"embed", "model.tied", "--ids-file", ids, "-o", "e.npy"}).exit_code, 0);
    const Npy npy = SplitNpy(Read("e.npy"));
    EXPECT_TRUE(HasShape(npy, "(2, 2, 6)")) << npy.header;
    EXPECT_EQ(npy.Values<float>(), model_.Embed({1, 2, 3, 4}));
  }
}

TEST_F(Embed, SaysWhatTheModelLacks) {
  Write("hidden.npy", NpyFloats("(1, 6)", ExactHidden(6)));
  for (const size_t entry_point : {0u, 1u}) {
    TiedFile file = model_.MakeFile();
    file.header.entry_points.erase(file.header.entry_points.begin() + static_cast<std::ptrdiff_t>(entry_point));
    Write("half.tied", file.Bytes());
    if (entry_point == 0) {
      ExpectFailure({"embed", "half.tied", "--ids", "1"}, 1, {"the model has no embedding"});
      continue;
    }
    for (const char* command : {"logits", "argmax", "topk"}) {
      ExpectFailure({command, "half.tied", "--hidden", "hidden.npy"}, 1, {"the model has no lm_head"});
    }
  }
}

TEST_F(Embed, ScalarAndEmptyShapes) {
  const ChildOutcome scalar = Tied({"embed", "model.tied", "--ids-file", "-", "-o", "-"}, NpyIds("()", {5}));
  EXPECT_TRUE(HasShape(SplitNpy(scalar.out), "(6,)")) << scalar.err;
  EXPECT_EQ(SplitNpy(scalar.out).Values<float>(), model_.Embed({5}));
  const ChildOutcome empty = Tied({"embed", "model.tied", "--ids-file", "-", "-o", "-"}, NpyIds("(4, 0)", {}));
  EXPECT_EQ(empty.exit_code, 0) << empty.err;
  EXPECT_TRUE(HasShape(SplitNpy(empty.out), "(4, 0, 6)")) << empty.out;
  EXPECT_EQ(SplitNpy(empty.out).data, "");
}

TEST_F(Embed, SummaryInsteadOfNumbersWithoutAFile) {
  const nlohmann::json json = TiedJson({"embed", "model.tied", "--ids", "3", "--json"});
  const std::vector<float> row = model_.Embed({3});
  EXPECT_EQ(json["shape"], nlohmann::json({1, 6}));
  EXPECT_EQ(json["min"], *std::min_element(row.begin(), row.end()));
  EXPECT_EQ(json["max"], *std::max_element(row.begin(), row.end()));
  EXPECT_EQ(json["first"], nlohmann::json(row));
  const ChildOutcome outcome = Tied({"embed", "model.tied", "--ids", "3"});
  EXPECT_NE(outcome.out.find("[1, 6]"), std::string::npos) << outcome.out;
}

TEST_F(Embed, BadIdsWriteNothing) {
  ExpectFailure({"embed", "model.tied", "--ids", "0,19", "-o", "e.npy"}, 1, {"19"});
  ExpectFailure({"embed", "model.tied", "--ids=-1", "-o", "e.npy"}, 1, {"-1"});
  for (const std::string id : {"010", "3.0", "x", " 3", "9223372036854775808"}) {
    ExpectFailure({"embed", "model.tied", "--ids", "1," + id + ",2", "-o", "e.npy"}, 2,
                  {"'" + id + "' is not a token id"});
  }
  ExpectFailure({"embed", "model.tied", "--ids", "", "-o", "e.npy"}, 2, {"'' is not a token id"});
  Write("e.npy", "what was there");
  ExpectFailure({"embed", "model.tied", "--ids", "19", "-o", "e.npy"}, 1, {"19"});
  EXPECT_EQ(Read("e.npy"), "what was there");
  ExpectFailure({"embed", "model.tied", "--ids-file", "none.npy"}, 1, {"none.npy"});
  Write("f.npy", NpyFloats("(1,)", {1}));
  ExpectFailure({"embed", "model.tied", "--ids-file", "f.npy"}, 1, {"f.npy", "float32", "int64"});
}

TEST_P(LogitsWithFlags, EqualTheDefinition) {
  const std::vector<float> hidden = ExactHidden(20 * 6);
  Write("h.npy", NpyFloats("(4, 5, 6)", hidden));
  std::vector<std::string> args = {"logits", "model.tied", "--hidden", "h.npy", "-o", "y.npy"};
  args.insert(args.end(), GetParam().begin(), GetParam().end());
  const ChildOutcome outcome = Tied(args);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const Npy npy = SplitNpy(Read("y.npy"));
  EXPECT_TRUE(HasShape(npy, "(4, 5, 19)")) << npy.header;
  EXPECT_EQ(npy.Values<float>(), model_.Logits(hidden));
}

INSTANTIATE_TEST_SUITE_P(Flags, LogitsWithFlags,
                         testing::Values(std::vector<std::string>{}, std::vector<std::string>{"--threads", "1"},
                                         std::vector<std::string>{"--threads", "3", "--deterministic"},
                                         std::vector<std::string>{"--no-deterministic"}));

TEST_F(Logits, ThroughPipes) {
  const std::vector<float> hidden = ExactHidden(2 * 6);
  const ChildOutcome outcome = Tied({"logits", "model.tied", "--hidden", "-", "-o", "-"}, NpyFloats("(2, 6)", hidden));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(SplitNpy(outcome.out).Values<float>(), model_.Logits(hidden));
}

TEST_F(Logits, WrongHiddenIsNamed) {
  Write("narrow.npy", NpyFloats("(2, 5)", ExactHidden(10)));
  Write("scalar.npy", NpyFloats("()", {1}));
  Write("ids.npy", NpyIds("(6,)", {1, 2, 3, 4, 5, 6}));
  for (const std::string command : {"logits", "argmax"}) {
    ExpectFailure({command, "model.tied", "--hidden", "narrow.npy"}, 1, {"narrow.npy", "[2, 5]", "[..., 6]"});
    ExpectFailure({command, "model.tied", "--hidden", "scalar.npy"}, 1, {"scalar.npy", "[..., 6]"});
    ExpectFailure({command, "model.tied", "--hidden", "ids.npy"}, 1, {"ids.npy", "int64", "float32"});
  }
}

TEST_F(Argmax, EqualsTheLargestLogit) {
  const std::vector<float> hidden = ExactHidden(3 * 6);
  const std::vector<float> logits = model_.Logits(hidden);
  std::vector<int64_t> ids;
  std::vector<float> best;
  for (auto token = logits.begin(); token != logits.end(); token += 19) {
    const auto top = std::max_element(token, token + 19);
    ids.push_back(top - token);
    best.push_back(*top);
  }
  Write("h.npy", NpyFloats("(3, 6)", hidden));
  const nlohmann::json json = TiedJson({"argmax", "model.tied", "--hidden", "h.npy", "--json"});
  EXPECT_EQ(json["shape"], nlohmann::json::array({3}));
  EXPECT_EQ(json["ids"], nlohmann::json(ids));
  EXPECT_EQ(json["logits"], nlohmann::json(best));

  EXPECT_EQ(Tied({"argmax", "model.tied", "--hidden", "h.npy", "-o", "ids.npy"}).out, "");
  EXPECT_EQ(SplitNpy(Read("ids.npy")).Values<int64_t>(), ids);
  EXPECT_NE(Tied({"argmax", "model.tied", "--hidden", "h.npy"}).out.find(std::to_string(ids[0])), std::string::npos);
}

TEST_F(Argmax, NotFiniteIsRefused) {
  std::vector<float> hidden = ExactHidden(6);
  hidden[2] = std::numeric_limits<float>::quiet_NaN();
  Write("h.npy", NpyFloats("(1, 6)", hidden));
  ExpectFailure({"argmax", "model.tied", "--hidden", "h.npy", "-o", "ids.npy"}, 1, {"tied argmax"});
}

TEST_F(Output, PlacesThatCannotBeWritten) {
  ExpectFailure({"embed", "model.tied", "--ids", "1", "-o", "no/such/folder.npy"}, 1, {"no/such/folder.npy"});
  ExpectFailure({"embed", "model.tied", "--ids", "1", "-o", "."}, 1, {"directory"});
  ExpectFailure({"embed", "model.tied", "--ids", "1", "-o", "/dev/full"}, 1, {"/dev/full"});
}

TEST_F(Output, FullStandardOutputIsAFailure) {
  std::string command;
  for (const std::string& word : Launcher()) command += word + " ";
  command += TIED_CLI " embed model.tied --ids 1";
  EXPECT_EQ(Shell(command + " --json > /dev/full").exit_code, 1);
  EXPECT_EQ(Shell(command + " -o - > /dev/full").exit_code, 1);
}

TEST_F(Output, ReplacesWhatWasThere) {
  Write("e.npy", "old");
  EXPECT_EQ(Tied({"embed", "model.tied", "--ids", "1", "-o", "e.npy"}).exit_code, 0);
  EXPECT_EQ(SplitNpy(Read("e.npy")).Values<float>(), model_.Embed({1}));
  EXPECT_EQ(Files(), (std::vector<std::string>{"e.npy", "model.tied"}));
}

}  // namespace
}  // namespace tied::test
