// Tests every command on a model without the rows of some token ids.
#include <algorithm>
#include <cmath>

#include "tests/support/kept_rows.h"
#include "tests/tools/tied/command.h"
#include "tests/tools/tied/npy_bytes.h"

namespace tied::test {
namespace {

class Ids : public CliTest {
 protected:
  void SetUp() override {
    CliTest::SetUp();
    Write("kept.tied", KeepRows(model_.MakeFile(), {0, 3, 7, 8, 18}).Bytes());
    Write("h.npy", NpyFloats("(6,)", hidden_));
  }

  const std::vector<float> hidden_ = ExactHidden(6);
};

TEST_F(Ids, InspectAndVerify) {
  const nlohmann::json table = TiedJson({"inspect", "kept.tied", "--json"})["tables"][0];
  EXPECT_EQ(table["rows"], 5);
  EXPECT_EQ(table["vocabulary"], 19);
  EXPECT_EQ(table["planes"]["ids"]["length"], 5 * 4);
  EXPECT_NE(Tied({"inspect", "kept.tied"}).out.find("[5, 6] of 19 ids"), std::string::npos);
  EXPECT_NE(Tied({"inspect", "kept.tied", "--graph", "text"}).out.find("[5, 6] of 19 ids"), std::string::npos);
  EXPECT_EQ(TiedJson({"verify", "kept.tied", "--json"})["ok"], true);
}

TEST_F(Ids, EmbedTakesKeptIdsAlone) {
  EXPECT_EQ(Tied({"embed", "kept.tied", "--ids", "18,3"}).out, Tied({"embed", "model.tied", "--ids", "18,3"}).out);
  ExpectFailure({"embed", "kept.tied", "--ids", "18,4"}, 1, {"token id 4 at position 1 was dropped"});
  ExpectFailure({"embed", "kept.tied", "--ids", "19"}, 1, {"not in [0, 19)"});
}

TEST_F(Ids, LogitsAreOfTheWholeVocabulary) {
  std::vector<float> expected(19, -INFINITY);
  for (const size_t id : {0u, 3u, 7u, 8u, 18u}) expected[id] = model_.Logits(hidden_)[id];
  EXPECT_EQ(Tied({"logits", "kept.tied", "--hidden", "h.npy", "-o", "l.npy"}).exit_code, 0);
  EXPECT_EQ(Read("l.npy"), NpyFloats("(19,)", expected));
  Write("batch.npy", NpyFloats("(1, 1, 6)", hidden_));
  const ChildOutcome run =
      Tied({"run", "kept.tied", "--entry", "head", "--input", "pre_logits=batch.npy", "--output", "logits=r.npy"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_EQ(Read("r.npy"), NpyFloats("(1, 1, 19)", expected));
}

TEST_F(Ids, TopkAndArgmaxGiveKeptIds) {
  const std::vector<float> logits = model_.Logits(hidden_);
  std::vector<int64_t> best = {0, 3, 7, 8, 18};
  std::stable_sort(best.begin(), best.end(), [&](int64_t a, int64_t b) {
    return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
  });
  const nlohmann::json topk = TiedJson({"topk", "kept.tied", "--hidden", "h.npy", "-k", "5", "--json"});
  EXPECT_EQ(topk["tokens"][0]["ids"], nlohmann::json(best));
  EXPECT_EQ(TiedJson({"argmax", "kept.tied", "--hidden", "h.npy", "--json"})["ids"][0], best[0]);
  Write("rows.npy", NpyIds("(3,)", {18, 1, 8}));
  std::string allowed(19, '\0');
  for (const size_t id : {1u, 8u, 18u}) allowed[id] = 1;
  Write("allowed.npy", NpyOf("|b1", "(19,)", allowed));
  for (const auto& [flag, file] : {std::pair("--rows", "rows.npy"), std::pair("--allowed", "allowed.npy")}) {
    ExpectFailure({"topk", "kept.tied", "--hidden", "h.npy", "-k", "3", flag, file}, 1, {"k is 3", "1 to 2"});
    const nlohmann::json two = TiedJson({"topk", "kept.tied", "--hidden", "h.npy", "-k", "2", flag, file, "--json"});
    std::vector<int64_t> ids = two["tokens"][0]["ids"];
    std::sort(ids.begin(), ids.end());
    EXPECT_EQ(ids, std::vector<int64_t>({8, 18}));
  }
}

TEST_F(Ids, Bench) {
  const nlohmann::json report = TiedJson({"bench", "kept.tied", "--quick", "--tokens", "1", "--repeat", "1", "--json"});
  EXPECT_EQ(report["rows"], 5);
  EXPECT_EQ(report["vocabulary"], 19);
}

}  // namespace
}  // namespace tied::test
