// What the C ABI says of a model, and of the library.
#include <cstring>
#include <string>

#include "tests/runtime/model_fixture.h"

namespace tied::test {
namespace {

const TestModel kModel(19, 6);

TEST(Info, TellsEverythingThatTheFileHolds) {
  TiedFile described = kModel.MakeFile();
  described.header.entry_points[1]->ops[0]->operation.AsMatMul()->k = 7;  // of no meaning for logits
  const std::string file = described.Bytes();
  const ModelPtr model = OpenMemory(file);
  tied_model_info info;
  ASSERT_EQ(tied_model_get_info(model.get(), &info, nullptr), TIED_OK);
  EXPECT_EQ(info.format_version, 1u);
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
  EXPECT_STREQ(op.kind, "Gather");
  EXPECT_EQ(op.scale, 0.5f);
  ASSERT_EQ(tied_model_get_op(model.get(), 1, 0, &op, nullptr), TIED_OK);
  EXPECT_STREQ(op.kind, "MatMul");
  EXPECT_EQ(op.has_bias, 1);
  EXPECT_EQ(op.k, 0u);
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
