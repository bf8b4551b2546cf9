#include "tests/faults/small_models.h"

#include <cstdint>
#include <vector>

#include "tests/converter/onnx_builder.h"
#include "tests/support/oracle.h"

namespace tied::test {

std::string SafetensorsFile() {
  const std::vector<float> table = Table();
  const std::string header = R"({"model.embed_tokens.weight":{"dtype":"F32","shape":[)" + std::to_string(kRows) + "," +
                             std::to_string(kCols) + R"(],"data_offsets":[0,)" +
                             std::to_string(table.size() * sizeof(float)) + "]}}";
  const uint64_t length = header.size();
  std::string file(reinterpret_cast<const char*>(&length), sizeof length);
  file += header;
  return file.append(reinterpret_cast<const char*>(table.data()), table.size() * sizeof(float));
}

onnx::ModelProto DecoderExport() {
  constexpr int64_t kWide = 200;
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name("decoder");
  AddValue(graph->mutable_input(), "input_ids", onnx::TensorProto::INT64, {-1, -1});
  AddValue(graph->mutable_output(), "logits", onnx::TensorProto::FLOAT, {-1, -1, kRows});
  const std::vector<float> numbers = MakeNumbers(Numbers::kNormal, static_cast<size_t>(kCols * kWide), 8);
  *graph->add_initializer() = RawTensor("W", {kRows, kCols}, Table());
  *graph->add_initializer() = RawTensor("up", {kCols, kWide}, numbers);
  *graph->add_initializer() = RawTensor("down", {kWide, kCols}, numbers);
  AddNodes(graph, {"E = Gather(W, input_ids)", "U = MatMul(E, up)", "H = MatMul(U, down)",
                   "wt = Transpose(W) {perm=[1,0]}", "logits = MatMul(H, wt)"});
  return model;
}

}  // namespace tied::test
