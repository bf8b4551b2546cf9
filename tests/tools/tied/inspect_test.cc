#include "tests/tools/tied/command.h"

namespace tied::test {
namespace {

using Inspect = CliTest;
using Verify = CliTest;
using Usage = CliTest;

TEST_F(Inspect, JsonHoldsEverythingInTheFile) {
  const nlohmann::json json = TiedJson({"inspect", "model.tied", "--json"});
  EXPECT_EQ(json["format_version"], 2);
  EXPECT_EQ(json["file_bytes"], model_.File().size());
  EXPECT_EQ(json["producer"], "cli_test");
  EXPECT_EQ(json["source"], "test.onnx");
  EXPECT_EQ(json["graph"], "main_graph");
  EXPECT_EQ(json["inputs"][0]["shape"], nlohmann::json({"batch", "sequence"}));
  EXPECT_EQ(json["inputs"][1]["shape"], nlohmann::json({"batch", "sequence", 6}));
  EXPECT_EQ(json["inputs"][2]["type"], "bool");
  EXPECT_EQ(json["outputs"][1]["name"], "logits");
  const nlohmann::json& table = json["tables"][0];
  EXPECT_EQ(table["name"], "shared.weight");
  EXPECT_EQ(table["rows"], 19);
  EXPECT_EQ(table["cols"], 6);
  EXPECT_EQ(table["planes"]["values"]["offset"], 65536);
  EXPECT_EQ(table["planes"]["values"]["length"], 19 * 6 * 4);
  EXPECT_EQ(table["planes"]["values"]["hash"].get<std::string>().size(), 16u);
  const nlohmann::json& head = json["entry_points"][1];
  EXPECT_EQ(head["name"], "head");
  EXPECT_EQ(head["selectors"], nlohmann::json::parse(R"([{"input": "use_embedding", "value": false}])"));
  EXPECT_EQ(head["ops"][0]["kind"], "Head");
  EXPECT_EQ(head["ops"][0]["bias"], true);
  EXPECT_EQ(json["entry_points"][0]["ops"][0]["scale"], 0.5);
}

TEST_F(Inspect, TablesNameEverything) {
  const ChildOutcome outcome = Tied({"inspect", "model.tied"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* text :
       {"format version", "cli_test", "test.onnx", "[batch, sequence, 6]", "shared.weight", "[19, 6]", "65536",
        "use_embedding = true", "embeddings = Embedding(shared.weight, input_ids) * 0.5",
        "logits = Head(shared.weight, pre_logits) + bias"}) {
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text << "\n" << outcome.out;
  }
}

TEST_F(Inspect, GraphsShowTableEntryPointsAndOrigins) {
  const ChildOutcome text = Tied({"inspect", "model.tied", "--graph", "text"});
  const ChildOutcome dot = Tied({"inspect", "model.tied", "--graph", "dot"});
  for (const char* line : {"shared.weight  float32 [19, 6]", "head  if use_embedding = false",
                           "pre_logits ─▶ Head + bias ─▶ logits", "was MatMul lm_head"}) {
    EXPECT_NE(text.out.find(line), std::string::npos) << line << "\n" << text.out;
  }
  for (const char* line : {"digraph tied {", "\"table shared.weight\" -> op2;", "\"input pre_logits\" -> op2;",
                           "op2 -> \"output logits\";", "label=\"Head + bias\\nMatMul lm_head\""}) {
    EXPECT_NE(dot.out.find(line), std::string::npos) << line << "\n" << dot.out;
  }
  ExpectFailure({"inspect", "model.tied", "--graph", "circle"}, 2, {"--graph"});
}

TEST_F(Inspect, NamesDoNotReachTheTerminalAsCommands) {
  TiedFile file = model_.MakeFile();
  file.header.tables[0]->name = file.header.outputs[0]->name = file.header.entry_points[0]->name = "a\x1b[2Jb";
  file.header.entry_points[0]->ops[0]->origin = "Gather \x1b[2J";
  Write("model.tied", file.Bytes());
  for (const auto& args : {std::vector<std::string>{"inspect", "model.tied"},
                           {"inspect", "model.tied", "--graph", "text"},
                           {"inspect", "model.tied", "--graph", "dot"}}) {
    const ChildOutcome outcome = Tied(args);
    EXPECT_NE(outcome.out.find("a?[2Jb"), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.out.find('\x1b'), std::string::npos);
  }
  file.header.outputs[1]->name = file.header.outputs[0]->name;
  Write("model.tied", file.Bytes());
  EXPECT_NE(Tied({"inspect", "model.tied"}).err.find("'a?[2Jb'"), std::string::npos);
}

TEST_F(Inspect, NamesAreShownAsFarAsTheyAreText) {
  const std::pair<const char*, const char*> kNames[] = {{"gewÄhlt 語 😀", "gewÄhlt 語 😀"},
                                                        {"a\xc2\x9b"
                                                         "2J",
                                                         "a??2J"},
                                                        {"a\x9b"
                                                         "2J",
                                                         "a?2J"},
                                                        {"a\xe0\x82\x9b"
                                                         "2J",
                                                         "a???2J"},
                                                        {"a\xed\xa0\x80", "a???"},
                                                        {"a\xe8\xaa", "a??"}};
  for (const auto& [name, shown] : kNames) {
    TiedFile file = model_.MakeFile();
    file.header.tables[0]->name = name;
    Write("model.tied", file.Bytes());
    EXPECT_NE(Tied({"inspect", "model.tied"}).out.find(shown), std::string::npos) << shown;
  }
}

TEST_F(Verify, GoodFile) {
  EXPECT_EQ(TiedJson({"verify", "model.tied", "--json"})["ok"], true);
  EXPECT_NE(Tied({"verify", "model.tied"}).out.find("match"), std::string::npos);
}

TEST_F(Verify, FlippedBitOfThePlaneIsNamed) {
  std::string file = model_.File();
  file[65536 + 40] ^= 1;
  Write("flipped.tied", file);
  ExpectFailure({"verify", "flipped.tied"}, 1, {"tied verify: flipped.tied: ", "shared.weight"});
}

TEST_F(Usage, FilesThatAreNoModels) {
  const std::string file = model_.File();
  Write("truncated.tied", file.substr(0, file.size() - 1));
  Write("short.tied", file.substr(0, 20));
  Write("empty.tied", "");
  Write("other.tied", "PK" + file.substr(2));
  std::string flipped = file;
  flipped[100] ^= 1;
  Write("header.tied", flipped);
  for (const char* name : {"missing.tied", "truncated.tied", "short.tied", "empty.tied", "other.tied", "header.tied"}) {
    for (const std::string command : {"inspect", "verify"})
      ExpectFailure({command, name}, 1, {"tied " + command, name});
    ExpectFailure({"embed", name, "--ids", "1", "-o", "e.npy"}, 1, {"tied embed", name});
    ExpectFailure({"bench", name, "--quick"}, 1, {"tied bench", name});
  }
  ExpectFailure({"inspect", "."}, 1, {"tied inspect"});
}

TEST_F(Usage, BadFlagsExitWithTwo) {
  ExpectFailure({}, 2, {"tied"});
  ExpectFailure({"translate"}, 2, {"translate"});
  ExpectFailure({"inspect"}, 2, {"tied inspect", "model"});
  ExpectFailure({"inspect", "model.tied", "--bogus"}, 2, {"--bogus"});
  ExpectFailure({"embed", "model.tied"}, 2, {"--ids"});
  ExpectFailure({"embed", "model.tied", "--ids", "1", "--ids-file", "x.npy"}, 2, {"--ids"});
  ExpectFailure({"embed", "model.tied", "--ids", "1,two"}, 2, {"two"});
  ExpectFailure({"embed", "model.tied", "--ids", "1", "--threads", "many"}, 2, {"--threads"});
  ExpectFailure({"embed", "model.tied", "--ids", "1", "--threads", "257"}, 2, {"--threads"});
  ExpectFailure({"embed", "model.tied", "--ids", "1", "-o", "-", "--json"}, 2, {"standard output"});
  ExpectFailure({"logits", "model.tied"}, 2, {"--hidden"});
  ExpectFailure({"run", "model.tied", "--entry", "embed"}, 2, {"--output"});
  ExpectFailure({"run", "model.tied", "--input", "ids", "--output", "logits"}, 2, {"--input ids", "NAME="});
  ExpectFailure({"run", "model.tied", "--output", "logits=a.npy", "--output", "embeddings=a.npy"}, 2, {"a.npy"});
  ExpectFailure({"bench", "model.tied", "--tokens", "0"}, 2, {"--tokens"});
  ExpectFailure({"bench"}, 2, {"model"});
}

TEST_F(Usage, HelpAndVersion) {
  const std::vector<std::vector<std::string>> commands = {{"--help"}, {"--version"}, {"embed", "--help"}};
  for (const auto& args : commands) {
    const ChildOutcome outcome = Tied(args);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_NE(outcome.out.find("tied"), std::string::npos);
    EXPECT_EQ(outcome.err, "");
  }
}

}  // namespace
}  // namespace tied::test
