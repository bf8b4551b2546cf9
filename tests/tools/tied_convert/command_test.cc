// Tests the output, files and memory of the tied-convert program.
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "schema/narrow_floats.h"
#include "tests/converter/conversion.h"
#include "tests/support/child_process.h"
#include "tests/support/launcher.h"

namespace tied::test {
namespace {

class Command : public ConversionTest {
 protected:
  // Runs tied-convert. `before` runs in the child first.
  static ChildOutcome Run(
      std::vector<std::string> args, const std::function<void()>& before = [] {}) {
    args.insert(args.begin(), TIED_CONVERT);
    return RunProgram(std::move(args), before);
  }

  std::string SaveModel(const ModelForm& form = {}) const {
    Save(MakeModel(form, Folder()), Path("model.onnx"));
    return Path("model.onnx");
  }

  // Writes a model of rows x 1024 zeros as a sparse file. Returns its size, or the size of its external data.
  size_t SaveLargeModel(int64_t rows, bool external) const;
};

size_t Command::SaveLargeModel(int64_t rows, bool external) const {
  onnx::ModelProto model = MakeModel({}, Folder());
  onnx::GraphProto* graph = model.mutable_graph();
  graph->mutable_input(2)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(2)->set_dim_value(1024);
  graph->mutable_output(0)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(2)->set_dim_value(1024);
  graph->mutable_output(1)->mutable_type()->mutable_tensor_type()->mutable_shape()->mutable_dim(2)->set_dim_value(rows);
  onnx::TensorProto* table = graph->mutable_initializer(0);
  table->set_dims(0, rows);
  table->set_dims(1, 1024);
  table->clear_raw_data();
  const auto bytes = static_cast<size_t>(rows) * 1024 * sizeof(float);
  if (external) {
    table->set_data_location(onnx::TensorProto::EXTERNAL);
    onnx::StringStringEntryProto* entry = table->add_external_data();
    entry->set_key("location");
    entry->set_value("table.bin");
    std::ofstream(Path("table.bin")).flush();
    EXPECT_EQ(truncate(Path("table.bin").c_str(), static_cast<off_t>(bytes)), 0);
    Save(model, Path("model.onnx"));
    return bytes;
  }
  // Written with its lengths by hand: the table's message ends with the raw data, the graph with the table, the model
  // with the graph. Tags: ModelProto.graph 7, GraphProto.initializer 5, TensorProto.raw_data 9.
  const auto varint = [](uint64_t value) {
    std::string text;
    for (; value >= 128; value >>= 7) text += static_cast<char>(value | 128);
    return text + static_cast<char>(value);
  };
  const std::string tensor = table->SerializeAsString() + "\x4a" + varint(bytes);
  graph->clear_initializer();
  const std::string outer = graph->SerializeAsString() + "\x2a" + varint(tensor.size() + bytes) + tensor;
  model.clear_graph();
  const std::string head = model.SerializeAsString() + "\x3a" + varint(outer.size() + bytes) + outer;
  std::ofstream(Path("model.onnx"), std::ios::binary) << head;
  EXPECT_EQ(truncate(Path("model.onnx").c_str(), static_cast<off_t>(head.size() + bytes)), 0);
  return bytes;
}

TEST_F(Command, ConvertsAndChecks) {
  const ChildOutcome outcome = Run({SaveModel(), "-o", Path("m.tied"), "--check"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(Files(), (std::vector<std::string>{"m.tied", "model.onnx"}));
}

TEST_F(Command, NamesDoNotReachTheTerminalAsCommands) {
  onnx::ModelProto model = MakeModel({}, Folder());
  const auto rename = [](std::string* name) { *name += "\x1b[2J\xc2\x9b[3J\xe0\x82\x9b[4J\xc0\x9b[5J"; };
  for (onnx::AttributeProto& branch : *model.mutable_graph()->mutable_node(0)->mutable_attribute()) {
    rename(branch.mutable_g()->mutable_name());
  }
  for (const char* op : {"Gather", "Unknown"}) {
    onnx::NodeProto* gather =
        model.mutable_graph()->mutable_node(0)->mutable_attribute(1)->mutable_g()->mutable_node(1);
    gather->set_op_type(op);
    rename(gather->mutable_name());
    Save(model, Path("model.onnx"));
    const ChildOutcome outcome = Run({Path("model.onnx"), "-o", Path("m.tied"), "--check"});
    EXPECT_EQ(outcome.exit_code == 0, op == std::string("Gather")) << outcome.err;
    EXPECT_NE((outcome.out + outcome.err).find("?[2J??[3J???[4J??[5J"), std::string::npos)
        << outcome.out << outcome.err;
    EXPECT_EQ((outcome.out + outcome.err).find('\x1b'), std::string::npos);
  }
}

TEST_F(Command, ReplacesAnOlderFile) {
  std::ofstream(Path("m.tied")) << "older";
  EXPECT_EQ(Run({SaveModel(), "-o", Path("m.tied")}).exit_code, 0);
  EXPECT_EQ(Run({Path("model.onnx"), "-o", Path("m.tied"), "--check", "--quiet"}).exit_code, 0);
}

TEST_F(Command, FailsWithAMessageOnStandardError) {
  const struct {
    std::vector<std::string> args;
    int exit_code;
    std::string word;
  } cases[] = {{{Path("missing.onnx"), "-o", Path("m.tied")}, 1, "missing.onnx"},
               {{SaveModel(), "-o", Path("no/such/folder.tied")}, 1, "no/such"},
               {{SaveModel(), "-o", SaveModel()}, 1, "input itself"},
               {{SaveModel(), "-o", "-"}, 1, "cannot be written to standard output"},
               {{"split", SaveModel(), "-o", Folder()}, 1, "is the folder of"},
               {{"split", SaveModel(), "-o", SaveModel()}, 1, "is not a folder"},
               {{"split", SaveModel(), "-o", "-"}, 1, "-: is not a folder"},
               {{SaveModel()}, 2, "--output"},
               {{SaveModel(), "-o", Path("m.tied"), "--fast"}, 2, "--fast"}};
  for (const auto& c : cases) {
    const ChildOutcome outcome = Run(c.args);
    EXPECT_EQ(outcome.exit_code, c.exit_code);
    EXPECT_NE(outcome.err.find(c.word), std::string::npos) << outcome.err;
    EXPECT_EQ(Files(), std::vector<std::string>{"model.onnx"});
    if (Files().empty()) SaveModel();
  }
}

TEST_F(Command, InputsAreNotReplaced) {
  ModelForm form;
  form.storage = Storage::kExternal;
  const std::string model = SaveModel(form), ids = Path("ids.txt");
  onnx::ModelProto decoder = MakeModel(form, Folder());
  onnx::GraphProto* graph = decoder.mutable_graph();
  graph->clear_node();
  graph->mutable_output()->DeleteSubrange(0, 1);
  AddNodes(graph, {"E = Gather(W, input_ids)", "h = Tanh(E)", "wt = Transpose(W)", "logits = MatMul(h, wt)"});
  graph->mutable_initializer(0)->mutable_external_data(0)->set_value("out/decoder.onnx.data");
  Save(decoder, Path("decoder.onnx"));
  std::ofstream(ids) << "1 2";
  std::filesystem::create_directory(Path("out"));
  std::filesystem::create_hard_link(Path("table.bin"), Path("out/decoder.onnx.data"));
  std::filesystem::create_hard_link(Path("table.bin"), Path("link"));
  const std::vector<std::string> calls[] = {
      {model, "-o", Path("link")},           {model, "-o", ids, "--keep-ids", ids},
      {model, "-o", ids, "--drop-ids", ids}, {model, "-o", ids, "--dtype", "int8", "--hidden", ids},
      {"count-ids", ids, "-o", ids},         {"split", Path("decoder.onnx"), "-o", Path("out")}};
  for (const std::vector<std::string>& args : calls) {
    const ChildOutcome outcome = Run(args);
    EXPECT_EQ(outcome.exit_code, 1) << args.back();
    EXPECT_NE(outcome.err.find(": is the input itself"), std::string::npos) << args.back() << outcome.err;
  }
  EXPECT_EQ(Run({"split", Path("decoder.onnx"), "-o", Path("other")}).exit_code, 0);
}

// The head is float32; the embedding is its copy, rounded to float16.
TEST_F(Command, TiesTwoRoundingsOfOneTable) {
  ModelForm form;
  form.embed = {"g = Gather(H, input_ids)", "E = Cast(g) {to=1}"};
  onnx::ModelProto model = MakeModel(form, Folder());
  std::string halves;
  for (const float value : Table()) {
    const uint16_t half = converter::HalfOf(value);
    halves.append(reinterpret_cast<const char*>(&half), sizeof half);
  }
  onnx::TensorProto* rounded = model.mutable_graph()->add_initializer();
  *rounded = RawTensor("H", {kRows, kCols}, {});
  rounded->set_data_type(onnx::TensorProto::FLOAT16);
  rounded->set_raw_data(halves);
  Save(model, Path("model.onnx"));
  const ChildOutcome refused = Run({Path("model.onnx"), "-o", Path("m.tied")});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("--tie keeps the finer one"), std::string::npos) << refused.err;
  const std::pair<std::vector<std::string>, const char*> kCalls[] = {
      {{"--tie", Path("model.onnx")},
       "the embedding reads 'W' instead of 'H': rounding error of its weights 0 instead"},
      {{Path("model.onnx"), "--tie"}, "the embedding reads 'W' instead of 'H'"},
      {{Path("model.onnx"), "--tie=head", "--check"}, "the embedding reads 'W' instead of 'H'"},
      {{"--tie", "embedding", Path("model.onnx"), "--check"}, "the head reads 'H' instead of 'W'"}};
  for (auto [args, words] : kCalls) {
    args.insert(args.end(), {"-o", Path("m.tied")});
    const ChildOutcome outcome = Run(args);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err << outcome.out;
    EXPECT_NE(outcome.out.find(words), std::string::npos) << outcome.out;
  }
  EXPECT_EQ(Run({"--tie=both", Path("model.onnx"), "-o", Path("m.tied")}).exit_code, 2);
}

class Dtypes : public Command {
 protected:
  // Converts a model with this table, and checks the file.
  tied_table_info Convert(const std::vector<float>& table, std::vector<std::string> options) {
    onnx::ModelProto model = MakeModel({}, Folder());
    *model.mutable_graph()->mutable_initializer(0) = RawTensor("W", {kRows, kCols}, table);
    Save(model, Path("model.onnx"));
    options.insert(options.begin(), {Path("model.onnx"), "-o", Path("m.tied"), "--check"});
    outcome_ = Run(options);
    EXPECT_EQ(outcome_.exit_code, 0) << outcome_.err << outcome_.out;
    tied_model* opened = nullptr;
    tied_error error = {};
    tied_table_info info = {};
    EXPECT_EQ(tied_model_open(Path("m.tied").c_str(), nullptr, &opened, &error), TIED_OK) << error.message;
    EXPECT_EQ(tied_model_verify(opened, &error), TIED_OK) << error.message;
    EXPECT_EQ(tied_model_get_table(opened, 0, &info, &error), TIED_OK) << error.message;
    tied_model_close(opened);
    return info;
  }

  ChildOutcome outcome_;
};

TEST_F(Dtypes, AutoNarrowsOnlyWhatSurvives) {
  std::vector<float> table(static_cast<size_t>(kRows * kCols), 1.5f);
  EXPECT_EQ(Convert(table, {}).type, TIED_FLOAT16);
  EXPECT_NE(outcome_.out.find("float16 exactly"), std::string::npos) << outcome_.out;
  table.back() = 0x1p100f;  // out of float16's range
  EXPECT_EQ(Convert(table, {}).type, TIED_BFLOAT16);
  table.front() = 1.0f + 0x1p-10f;  // ten bits after the point: too many for bfloat16
  EXPECT_EQ(Convert(table, {}).type, TIED_FLOAT32);
  EXPECT_NE(outcome_.out.find("kept as float32"), std::string::npos) << outcome_.out;
  EXPECT_EQ(Convert(std::vector<float>(table.size(), 1.5f), {"--dtype", "float32"}).type, TIED_FLOAT32);
}

TEST_F(Dtypes, AutoLooksAtTheRowsThatAreKept) {
  std::vector<float> table(static_cast<size_t>(kRows * kCols), 1.5f);
  table[20 * kCols] = 0x1p100f;
  std::ofstream(Path("drop.txt")) << "20 # not in the range of float16";
  EXPECT_EQ(Convert(table, {"--drop-ids", Path("drop.txt")}).type, TIED_FLOAT16);
  EXPECT_NE(outcome_.out.find("float16 [36, 12] of 37 ids"), std::string::npos) << outcome_.out;
  EXPECT_NE(outcome_.out.find("1 dropped ids, embedding: refused"), std::string::npos) << outcome_.out;
}

TEST_F(Command, CountsIdsAndKeepsWhatItHasProposed) {
  std::ofstream(Path("a.txt")) << "5 5 5 5 9 9 9 30\n";
  std::ofstream(Path("b.txt")) << "9 5 6\n";
  const ChildOutcome printed =
      Run({"count-ids", Path("a.txt"), Path("b.txt"), "--coverage", "0.8", "--always", "0-2,36"});
  EXPECT_EQ(printed.exit_code, 0) << printed.err;
  EXPECT_EQ(printed.out,
            "# 6 ids cover 9 of 11 tokens, 81.8182 %; 4 distinct ids occur\n"
            "0-2\n5\n9\n36\n");
  const ChildOutcome counted = Run({"count-ids", Path("a.txt"), "-o", Path("keep.txt"), "--min-count", "3"});
  EXPECT_EQ(counted.out, Path("keep.txt") + ": 2 ids cover 7 of 8 tokens, 87.5 %; 3 distinct ids occur\n");
  const ChildOutcome converted = Run({SaveModel(), "-o", Path("m.tied"), "--keep-ids", Path("keep.txt"), "--check"});
  EXPECT_EQ(converted.exit_code, 0) << converted.err << converted.out;
  EXPECT_NE(converted.out.find("[2, 12] of 37 ids"), std::string::npos) << converted.out;
  const ChildOutcome piped =
      Run({"count-ids", "-", "-o", "-"}, [&] { dup2(open(Path("b.txt").c_str(), O_RDONLY), 0); });
  EXPECT_EQ(piped.out, "# 3 ids cover 3 of 3 tokens, 100 %; 3 distinct ids occur\n5-6\n9\n");
}

TEST_F(Command, IdListsAreRefusedWithAMessage) {
  SaveModel();
  std::ofstream(Path("ids.txt")) << "1 2\n40";
  const std::vector<std::string> convert = {Path("model.onnx"), "-o", Path("m.tied")};
  const struct {
    std::vector<std::string> args;
    int exit_code;
    std::string word;
  } cases[] = {{{"--keep-ids", Path("ids.txt")}, 1, "ids.txt:2: token id 40 is not in [0, 37)"},
               {{"--drop-ids", Path("ids.txt")}, 1, "ids.txt:2: token id 40"},
               {{"--keep-ids", Path("ids.txt"), "--drop-ids", Path("ids.txt")}, 2, "excludes"},
               {{"--keep-ids", Path("missing.txt")}, 2, "missing.txt"}};
  for (const auto& c : cases) {
    std::vector<std::string> args = convert;
    args.insert(args.end(), c.args.begin(), c.args.end());
    const ChildOutcome outcome = Run(args);
    EXPECT_EQ(outcome.exit_code, c.exit_code);
    EXPECT_NE(outcome.err.find(c.word), std::string::npos) << outcome.err;
    EXPECT_EQ(access(Path("m.tied").c_str(), F_OK), -1);
  }
  const ChildOutcome uncounted = Run({"count-ids", Path("model.onnx")});
  EXPECT_EQ(uncounted.exit_code, 1);
  EXPECT_NE(uncounted.err.find("model.onnx:"), std::string::npos) << uncounted.err;
}

TEST_F(Dtypes, ALossIsMeasuredAndPrinted) {
  const struct {
    std::string name;
    tied_type type;
  } cases[] = {{"float16", TIED_FLOAT16},
               {"bfloat16", TIED_BFLOAT16},
               {"int8", TIED_INT8},
               {"int8-blocks", TIED_INT8},
               {"int4", TIED_INT4}};
  std::vector<float> table(static_cast<size_t>(kRows * kCols));
  for (size_t i = 0; i < table.size(); ++i) table[i] = std::sin(static_cast<float>(i));
  const std::vector<float> hidden(static_cast<size_t>(5 * kCols), 0.25f);
  std::ofstream(Path("hidden.raw"), std::ios::binary)
      .write(reinterpret_cast<const char*>(hidden.data()), static_cast<std::streamsize>(hidden.size() * 4));
  for (const auto& c : cases) {
    EXPECT_EQ(Convert(table, {"--dtype", c.name, "--hidden", Path("hidden.raw")}).type, c.type);
    for (const std::string words : {"weights: largest error", "8 random", "5 recorded", "top-1", "top-10 overlap"}) {
      EXPECT_NE(outcome_.out.find(words), std::string::npos) << outcome_.out;
    }
  }
  EXPECT_EQ(outcome_.out.find("flatter"), std::string::npos) << outcome_.out;
  Convert(table, {"--dtype", "int4"});
  EXPECT_NE(outcome_.out.find("random hidden states flatter"), std::string::npos) << outcome_.out;
  std::ofstream(Path("hidden.raw"), std::ios::binary) << "12345";
  const ChildOutcome refused =
      Run({Path("model.onnx"), "-o", Path("n.tied"), "--dtype", "int8", "--hidden", Path("hidden.raw")});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_NE(refused.err.find("hidden.raw"), std::string::npos) << refused.err;
}

TEST_F(Command, ArgumentsThatAreMissingAreNamed) {
  const std::pair<std::vector<std::string>, const char*> kCalls[] = {
      {{}, "model"}, {{"m.onnx"}, "--output"}, {{"split"}, "exports"}, {{"split", "m.onnx"}, "--output"}};
  for (const auto& [args, missing] : kCalls) {
    const ChildOutcome outcome = Run(args);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.err.find(missing), std::string::npos) << outcome.err;
  }
}

TEST_F(Dtypes, AScreenIsForTablesThatAreNotInBlocks) {
  const std::vector<float> table(static_cast<size_t>(kRows * kCols), 0.1f);
  const uint64_t plane = static_cast<uint64_t>(kRows * ((kCols + 31) / 32 * 16));
  for (const std::string dtype : {"float32", "float16", "bfloat16", "int8"}) {
    const tied_table_info info = Convert(table, {"--dtype", dtype, "--screen"});
    EXPECT_EQ(info.screen_upper.length, plane);
    EXPECT_EQ(info.screen_lower.length, plane);
    EXPECT_EQ(info.screen_column_values.length, 0u);
  }
  for (const std::string dtype : {"int8-blocks", "int4"}) {
    const ChildOutcome refused = Run({Path("model.onnx"), "-o", Path("n.tied"), "--dtype", dtype, "--screen"});
    EXPECT_EQ(refused.exit_code, 2);
    EXPECT_NE(refused.err.find(dtype), std::string::npos) << refused.err;
  }
}

class Streaming : public Command, public testing::WithParamInterface<std::tuple<bool, bool>> {};

TEST_P(Streaming, NeedsAtMost64MBForAModelOf200) {
#if defined(TIED_TEST_SANITIZED)
  GTEST_SKIP() << "a sanitizer has memory of its own";
#endif
  if (!Launcher().empty()) GTEST_SKIP() << "so has an emulator";
  const auto [external, half] = GetParam();
  const size_t bytes = SaveLargeModel(51200, external) / (half ? 2 : 1);
  std::ofstream list(Path("keep.txt"));
  for (int id = 0; id < 51200; id += half ? 2 : 1) list << id << '\n';
  list.close();
  const ChildOutcome outcome =
      Run({Path("model.onnx"), "-o", Path("m.tied"), "--quiet", "--dtype", "float32", "--keep-ids", Path("keep.txt")});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_LE(outcome.peak_bytes, 64000000u);
  tied_model* model = nullptr;
  ASSERT_EQ(tied_model_open(Path("m.tied").c_str(), nullptr, &model, nullptr), TIED_OK);
  tied_table_info table = {};
  EXPECT_EQ(tied_model_get_table(model, 0, &table, nullptr), TIED_OK);
  EXPECT_EQ(table.values.length, bytes);
  EXPECT_EQ(tied_model_verify(model, nullptr), TIED_OK);
  tied_model_close(model);
}

INSTANTIATE_TEST_SUITE_P(InlineAndExternal, Streaming, testing::Combine(testing::Bool(), testing::Bool()));

}  // namespace
}  // namespace tied::test
