// The C ABI's descriptions of a model and of the library.
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <tied/tied.hpp>
#include <vector>

#include "tests/runtime/model_fixture.h"

namespace tied::test {
namespace {

const TestModel kModel(19, 6);

TEST(Info, TellsEverythingThatTheFileHolds) {
  TiedFile described = kModel.MakeFile();
  described.header.entry_points[1]->ops[0]->operation.AsHead()->k = 7;  // has no meaning for logits
  const std::string file = described.Bytes();
  const ModelPtr model = OpenMemory(file);
  tied_model_info info;
  ASSERT_EQ(tied_model_get_info(model.get(), &info, nullptr), TIED_OK);
  EXPECT_EQ(info.format_version, 2u);
  EXPECT_EQ(info.file_bytes, file.size());
  EXPECT_STREQ(info.source, "test.onnx");
  EXPECT_STREQ(info.graph, "main_graph");
  EXPECT_EQ(info.table_count, 1u);
  EXPECT_EQ(info.input_count, 3u);
  EXPECT_EQ(info.output_count, 2u);
  EXPECT_EQ(info.entry_point_count, 2u);

  tied_table_info table;
  ASSERT_EQ(tied_model_get_table(model.get(), 0, &table, nullptr), TIED_OK);
  EXPECT_STREQ(table.name, "shared.weight");
  EXPECT_EQ(table.type, TIED_FLOAT32);
  EXPECT_EQ(table.rows, 19u);
  EXPECT_EQ(table.cols, 6u);
  EXPECT_EQ(table.values.offset, 65536u);
  EXPECT_EQ(table.values.length, 19u * 6u * 4u);
  EXPECT_EQ(table.data, file.data() + 65536);

  tied_value_info input;
  ASSERT_EQ(tied_model_get_input(model.get(), 1, &input, nullptr), TIED_OK);
  EXPECT_STREQ(input.name, "pre_logits");
  EXPECT_EQ(input.rank, 3u);
  EXPECT_EQ(input.dims[0], -1);
  EXPECT_STREQ(input.symbols[0], "batch");
  EXPECT_EQ(input.dims[2], 6);
  EXPECT_STREQ(input.symbols[2], "");

  tied_selector_info selector;
  ASSERT_EQ(tied_model_get_selector(model.get(), 0, 0, &selector, nullptr), TIED_OK);
  EXPECT_EQ(selector.input, 2u);
  EXPECT_EQ(selector.value, 1);

  tied_op_info op;
  ASSERT_EQ(tied_model_get_op(model.get(), 0, 0, &op, nullptr), TIED_OK);
  EXPECT_STREQ(op.kind, "Embedding");
  EXPECT_EQ(op.scale, 0.5f);
  ASSERT_EQ(tied_model_get_op(model.get(), 1, 0, &op, nullptr), TIED_OK);
  EXPECT_STREQ(op.kind, "Head");
  EXPECT_EQ(op.has_bias, 1);
  EXPECT_EQ(op.k, 0u);
}

// The head's table has more columns and fewer rows than the embedding's.
TiedFile FileOfTwoTables() {
  TiedFile file = kModel.MakeFile();
  auto head_table = std::make_unique<format::TiedTableT>();
  head_table->name = "lm_head.weight";
  head_table->type = format::DataType::Float32;
  head_table->rows = 11;
  head_table->cols = 8;
  head_table->vocabulary = 40;
  head_table->values = std::make_unique<format::Plane>(file.AddPlane(std::vector<float>(11 * 8)));
  file.header.tables.push_back(std::move(head_table));
  format::HeadT& head = *file.header.entry_points[1]->ops[0]->operation.AsHead();
  head.table = 1;
  head.bias = nullptr;
  return file;
}

TEST(Info, TellsTheEmbeddingFromTheHead) {
  const std::string file = FileOfTwoTables().Bytes();
  const ModelPtr model = OpenMemory(file);
  tied_embedding_info embedding = TIED_EMBEDDING_INFO_INIT;
  ASSERT_EQ(tied_model_get_embedding(model.get(), &embedding, nullptr), TIED_OK);
  EXPECT_EQ(embedding.table, 0u);
  EXPECT_EQ(embedding.cols, 6u);
  EXPECT_EQ(embedding.rows, 19u);
  EXPECT_EQ(embedding.vocabulary, 19u);
  EXPECT_EQ(embedding.scale, 0.5f);
  tied_head_info head = TIED_HEAD_INFO_INIT;
  ASSERT_EQ(tied_model_get_head(model.get(), &head, nullptr), TIED_OK);
  EXPECT_EQ(head.table, 1u);
  EXPECT_EQ(head.cols, 8u);
  EXPECT_EQ(head.rows, 11u);
  EXPECT_EQ(head.vocabulary, 40u);
  EXPECT_EQ(head.has_bias, 0);

  const Model owner = Model::OpenMemory(file.data(), file.size());
  EXPECT_EQ(owner.Embedding().cols, 6u);
  EXPECT_STREQ(owner.EmbeddingTable().name, "shared.weight");
  EXPECT_EQ(owner.Head().vocabulary, 40u);
  EXPECT_STREQ(owner.HeadTable().name, "lm_head.weight");
}

TEST(Info, FillsNoMoreThanAnOlderCallerKnows) {
  const std::string file = kModel.File();
  const ModelPtr model = OpenMemory(file);
  tied_head_info head = TIED_HEAD_INFO_INIT;
  head.struct_size = offsetof(tied_head_info, rows);
  head.rows = 77;
  ASSERT_EQ(tied_model_get_head(model.get(), &head, nullptr), TIED_OK);
  EXPECT_EQ(head.struct_size, offsetof(tied_head_info, rows));
  EXPECT_EQ(head.cols, 6u);
  EXPECT_EQ(head.rows, 77u);
  head.struct_size = 0;
  EXPECT_EQ(tied_model_get_head(model.get(), &head, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_head(model.get(), nullptr, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_embedding(nullptr, nullptr, nullptr), TIED_INVALID_ARGUMENT);
}

// The message is the same in C and in C++, from getters and from calls.
TEST(Info, SaysWhatTheModelLacksInOneWay) {
  for (const bool lacks_head : {true, false}) {
    const std::string expected = lacks_head ? "the model has no lm_head" : "the model has no embedding";
    TiedFile described = kModel.MakeFile();
    described.header.entry_points.erase(described.header.entry_points.begin() + (lacks_head ? 1 : 0));
    const std::string file = described.Bytes();
    const ModelPtr model = OpenMemory(file);
    tied_embedding_info embedding = TIED_EMBEDDING_INFO_INIT;
    tied_head_info head = TIED_HEAD_INFO_INIT;
    tied_error error;
    EXPECT_EQ(lacks_head ? tied_model_get_head(model.get(), &head, &error)
                         : tied_model_get_embedding(model.get(), &embedding, &error),
              TIED_UNSUPPORTED);
    EXPECT_EQ(error.message, expected);
    EXPECT_EQ(head.cols + embedding.cols, 0u);

    const Model owner = Model::OpenMemory(file.data(), file.size());
    Session session(owner);
    const std::vector<float> hidden(6);
    const std::vector<int64_t> ids = {1};
    const std::function<void()> calls[] = {
        [&] { lacks_head ? void(owner.Head()) : void(owner.Embedding()); },
        [&] { lacks_head ? void(session.Logits(hidden)) : void(session.Embed(ids)); },
        [&] { lacks_head ? void(session.Argmax(hidden)) : void(session.Embed(ids)); },
        [&] { lacks_head ? void(session.Topk(hidden, 1)) : void(session.Embed(ids)); }};
    for (const auto& call : calls) {
      try {
        call();
        ADD_FAILURE() << expected;
      } catch (const Error& thrown) {
        EXPECT_EQ(thrown.status(), TIED_UNSUPPORTED);
        EXPECT_EQ(thrown.what(), expected);
      }
    }
  }
}

TEST(Info, RefusesIndicesBehindTheEndAndNullPointers) {
  const std::string file = kModel.File();
  const ModelPtr model = OpenMemory(file);
  tied_table_info table;
  tied_value_info value;
  tied_entry_point_info entry_point;
  tied_selector_info selector;
  tied_op_info op;
  EXPECT_EQ(tied_model_get_table(model.get(), 1, &table, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_input(model.get(), 3, &value, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_output(model.get(), SIZE_MAX, &value, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_entry_point(model.get(), 2, &entry_point, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_selector(model.get(), 0, 1, &selector, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_selector(model.get(), 2, 0, &selector, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_op(model.get(), 0, 2, &op, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_op(model.get(), 0, 0, nullptr, nullptr), TIED_INVALID_ARGUMENT);
  EXPECT_EQ(tied_model_get_info(nullptr, nullptr, nullptr), TIED_INVALID_ARGUMENT);
}

TEST(Info, ListsTheKernelsAndWhichOneRuns) {
  size_t selected = 0;
  for (size_t i = 0; i < tied_kernel_count(); ++i) {
    tied_kernel_info kernel;
    ASSERT_EQ(tied_kernel_get_info(i, &kernel, nullptr), TIED_OK);
    EXPECT_EQ(std::strcmp(kernel.isa, "scalar") == 0, i == 0) << kernel.isa;
    EXPECT_LE(kernel.selected, kernel.available);
    selected += kernel.selected != 0;
  }
  EXPECT_EQ(selected, 1u);
  tied_kernel_info kernel;
  EXPECT_EQ(tied_kernel_get_info(tied_kernel_count(), &kernel, nullptr), TIED_INVALID_ARGUMENT);
}

TEST(Info, NamesEveryStatus) {
  for (tied_status status = TIED_OK; status <= TIED_CANCELLED; ++status) {
    EXPECT_EQ(std::strncmp(tied_status_name(status), "TIED_", 5), 0) << status;
  }
  EXPECT_STREQ(tied_status_name(-1), "unknown status");
  EXPECT_EQ(tied_version(), TIED_VERSION_MAJOR * 1000000u + TIED_VERSION_MINOR * 1000u + TIED_VERSION_PATCH);
}

}  // namespace
}  // namespace tied::test
