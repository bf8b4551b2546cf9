#include <map>

#include "tests/support/quantised_table.h"
#include "tests/tools/tied/command.h"

namespace tied::test {
namespace {

using Bench = CliTest;

TEST_F(Bench, JsonHasEveryCaseWithTheSameKeys) {
  const nlohmann::json json = TiedJson(
      {"bench", "model.tied", "--repeat", "2", "--tokens", "1,3", "--threads", "2", "--processes", "2", "--json"});
  EXPECT_EQ(json["rows"], 19);
  EXPECT_EQ(json["threads"], 2);
  EXPECT_FALSE(json["cpu"].get<std::string>().empty());
  std::map<std::string, size_t> count;
  for (const nlohmann::json& each : json["cases"]) {
    ++count[each["case"]];
    EXPECT_EQ(each["samples_ms"].size(), 2u);
    EXPECT_GT(each["ms"], 0.0);
    for (const char* key : {"tokens", "threads", "deterministic", "gb_per_s", "share_of_read", "ratio_to_one_token",
                            "ratio_to_memcpy", "gflop_per_s"}) {
      EXPECT_TRUE(each.contains(key)) << key;
    }
    if (each["case"] == "head" && each["tokens"] == 1) {
      EXPECT_EQ(each["ratio_to_one_token"], 1.0);
    }
  }
  const std::map<std::string, size_t> expected = {{"embed", 2}, {"head", 8}, {"memcpy", 1},
                                                  {"open", 1},  {"read", 2}, {"topk", 4}};
  EXPECT_EQ(count, expected);
  EXPECT_EQ(json["memory"]["stages"].size(), 7u);
  EXPECT_GT(json["memory"]["peak_rss_bytes"], 0);
  EXPECT_EQ(json["processes"]["each"].size(), 2u);
  EXPECT_EQ(json["processes"]["sum_pss_bytes"].get<uint64_t>(),
            json["processes"]["each"][0]["pss_bytes"].get<uint64_t>() +
                json["processes"]["each"][1]["pss_bytes"].get<uint64_t>());
}

TEST_F(Bench, TablesForPeople) {
  const ChildOutcome outcome = Tied({"bench", "model.tied", "--quick", "--threads", "1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* text : {"shared.weight", "of read", "private dirty", "after ten heads", "memcpy", "peak"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << "\n" << outcome.out;
  }
}

TEST_F(Bench, RowsOfMoreBytesThanTheirEmbeddings) {
  TiedFile file = TestModel(5, 1).MakeFile();
  std::vector<float> values(5, 1.0f);
  StoreTable(&file, {format::DataType::Int4}, 5, 1, &values);
  Write("narrow.tied", file.Bytes());
  const ChildOutcome outcome = Tied({"bench", "narrow.tied", "--quick", "--threads", "1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

TEST_F(Bench, TheEnvironmentNamesTheKernels) {
  setenv("TIED_ISA", "scalar", 1);
  const nlohmann::json json = TiedJson({"bench", "--kernels", "--json"});
  unsetenv("TIED_ISA");
  for (const nlohmann::json& set : json["kernels"]) EXPECT_EQ(set["selected"], set["isa"] == "scalar") << set;
}

TEST_F(Bench, TuningPrintsOptions) {
  const nlohmann::json json = TiedJson({"bench", "model.tied", "--tune", "--repeat", "2", "--json"});
  EXPECT_GE(json["threads"], 1);
  EXPECT_TRUE(json["xnnpack_min_tokens"].is_null() || json["xnnpack_min_tokens"] >= 2);
  EXPECT_NE(Tied({"bench", "model.tied", "--tune", "--repeat", "1"}).out.find("--threads"), std::string::npos);
}

TEST_F(Bench, KernelsNeedNoModel) {
  const nlohmann::json kernels = TiedJson({"bench", "--kernels", "--json"})["kernels"];
  ASSERT_FALSE(kernels.empty());
  EXPECT_EQ(kernels[0]["isa"], "scalar");
  size_t selected = 0;
  for (const nlohmann::json& kernel : kernels) selected += kernel["selected"].get<bool>() ? 1 : 0;
  EXPECT_EQ(selected, 1u);
  EXPECT_NE(Tied({"bench", "--kernels"}).out.find("scalar"), std::string::npos);
}

}  // namespace
}  // namespace tied::test
