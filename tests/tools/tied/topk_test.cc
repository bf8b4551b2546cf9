#include <algorithm>

#include "tests/support/quantised_table.h"
#include "tests/tools/tied/command.h"
#include "tests/tools/tied/npy_bytes.h"

namespace tied::test {
namespace {

class Topk : public CliTest {
 protected:
  // The three best ids by a token's logits, among `rows` (empty: all).
  static std::vector<int64_t> Best(const std::vector<float>& logits, std::vector<int64_t> rows = {}) {
    for (size_t r = 0; rows.empty() || (rows.back() == static_cast<int64_t>(r) - 1 && r < logits.size()); ++r) {
      rows.push_back(static_cast<int64_t>(r));
    }
    std::stable_sort(rows.begin(), rows.end(), [&](int64_t a, int64_t b) {
      return logits[static_cast<size_t>(a)] > logits[static_cast<size_t>(b)];
    });
    rows.resize(3);
    return rows;
  }
};

TEST_F(Topk, GivesTheBestRowsOfEachToken) {
  TiedFile file = model_.MakeFile();
  AddScreen(&file, 19, 6, model_.values());
  Write("screened.tied", file.Bytes());
  const std::vector<float> hidden = ExactHidden(2 * 6);
  Write("h.npy", NpyFloats("(2, 6)", hidden));
  const std::vector<float> logits = model_.Logits(hidden);
  for (const std::string name : {"model.tied", "screened.tied"}) {
    const nlohmann::json json = TiedJson({"topk", name, "--hidden", "h.npy", "-k", "3", "--log-z", "0.5", "--json"});
    ASSERT_EQ(json["tokens"].size(), 2u);
    for (size_t t = 0; t < 2; ++t) {
      const std::vector<float> own(logits.begin() + static_cast<std::ptrdiff_t>(t * 19),
                                   logits.begin() + static_cast<std::ptrdiff_t>(t * 19 + 19));
      const std::vector<int64_t> best = Best(own);
      EXPECT_EQ(json["tokens"][t]["ids"], nlohmann::json(best));
      EXPECT_EQ(json["tokens"][t]["logits"][0], own[static_cast<size_t>(best[0])]);
      EXPECT_GE(json["tokens"][t]["survivors"], 3);
      EXPECT_LE(json["tokens"][t]["log_z_bound"], 0.5);
      EXPECT_GT(json["tokens"][t]["log_z"], own[static_cast<size_t>(best[0])]);
    }
    EXPECT_GT(json["bytes_read"], 0);
  }
}

TEST_F(Topk, AmongSomeRows) {
  const std::vector<float> hidden = ExactHidden(6);
  Write("h.npy", NpyFloats("(6,)", hidden));
  Write("rows.npy", NpyIds("(4,)", {18, 2, 7, 3}));
  const ChildOutcome outcome = Tied({"topk", "model.tied", "--hidden", "h.npy", "-k", "3", "--rows", "rows.npy"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const int64_t id : Best(model_.Logits(hidden), {2, 3, 7, 18})) {
    EXPECT_NE(outcome.out.find(" " + std::to_string(id) + " "), std::string::npos) << outcome.out;
  }
  std::string allowed(19, '\0');
  for (const size_t row : {2u, 3u, 7u, 18u}) allowed[row] = 1;
  Write("allowed.npy", NpyOf("|b1", "(19,)", allowed));
  EXPECT_EQ(Tied({"topk", "model.tied", "--hidden", "h.npy", "-k", "3", "--allowed", "allowed.npy"}).out, outcome.out);
  ExpectFailure({"topk", "model.tied", "--hidden", "h.npy", "-k", "1", "--allowed", "rows.npy"}, 1, {"rows.npy", "19"});
  Write("rows.npy", NpyIds("(1,)", {19}));
  ExpectFailure({"topk", "model.tied", "--hidden", "h.npy", "-k", "1", "--rows", "rows.npy"}, 1, {"19"});
  ExpectFailure({"topk", "model.tied", "--hidden", "h.npy", "-k", "1", "--rows", "h.npy"}, 1, {"h.npy", "int64"});
  ExpectFailure({"topk", "model.tied", "--hidden", "h.npy", "-k", "20"}, 1, {"20", "19"});
  ExpectFailure({"topk", "model.tied", "--hidden", "h.npy", "-k", "0"}, 2, {"-k"});
  ExpectFailure({"topk", "model.tied", "--hidden", "h.npy", "--log-z", "-1"}, 2, {"--log-z"});
}

}  // namespace
}  // namespace tied::test
