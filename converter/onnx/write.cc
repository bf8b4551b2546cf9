#include "converter/onnx/write.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "converter/onnx/import.h"
#include "converter/onnx/scope.h"

namespace tied::converter {

namespace {

constexpr uint64_t kAlignment = 4096;
constexpr size_t kChunk = 4u << 20;

void AddEntry(onnx::TensorProto* tensor, const char* key, const std::string& value) {
  onnx::StringStringEntryProto* entry = tensor->add_external_data();
  entry->set_key(key);
  entry->set_value(value);
}

}  // namespace

OnnxWriter::OnnxWriter(onnx::ModelProto model, std::string source, const std::string& path)
    : model_(std::move(model)),
      source_(std::move(source)),
      data_name_(std::filesystem::path(path).filename().string() + ".data"),
      onnx_(path),
      data_(path + ".data") {}

void OnnxWriter::Write() {
  MoveTensors(model_.mutable_graph());
  const std::string bytes = model_.SerializeAsString();
  onnx_.WriteAt(0, bytes.data(), bytes.size());
  onnx_.Sync();
  data_.Sync();
}

void OnnxWriter::Commit() {
  if (end_ > 0) data_.Commit();
  onnx_.Commit();
}

// Turns a Constant node with external data into an initializer: only initializers may have external data.
void OnnxWriter::MoveTensors(onnx::GraphProto* graph) {
  std::vector<onnx::NodeProto> kept;
  for (onnx::NodeProto& node : *graph->mutable_node()) {
    bool moved = false;
    for (onnx::AttributeProto& attribute : *node.mutable_attribute()) {
      if (attribute.has_g()) MoveTensors(attribute.mutable_g());
      if (!attribute.has_t() || attribute.t().data_location() != onnx::TensorProto::EXTERNAL) continue;
      if (node.op_type() != "Constant") {
        throw ConvertError(source_ + ": " + Describe(node) + ": attribute '" + attribute.name() +
                           "' is a large tensor, which is supported only for Constant");
      }
      *graph->add_initializer() = attribute.t();
      graph->mutable_initializer(graph->initializer_size() - 1)->set_name(node.output(0));
      moved = true;
    }
    if (!moved) kept.push_back(node);
  }
  graph->clear_node();
  for (onnx::NodeProto& node : kept) graph->add_node()->Swap(&node);
  for (onnx::TensorProto& tensor : *graph->mutable_initializer()) MoveTensor(&tensor);
}

void OnnxWriter::MoveTensor(onnx::TensorProto* tensor) {
  if (tensor->data_location() != onnx::TensorProto::EXTERNAL) return;
  const TensorRef ref = ImportTensor(*tensor, source_);
  const uint64_t offset = (end_ + kAlignment - 1) / kAlignment * kAlignment;
  std::vector<char> chunk(static_cast<size_t>(std::min<uint64_t>(kChunk, ref.length)));
  for (uint64_t done = 0; done < ref.length;) {
    const auto size = static_cast<size_t>(std::min<uint64_t>(chunk.size(), ref.length - done));
    ref.ReadRange(done, chunk.data(), size);
    data_.WriteAt(offset + done, chunk.data(), size);
    done += size;
  }
  end_ = offset + ref.length;
  tensor->clear_external_data();
  AddEntry(tensor, "location", data_name_);
  AddEntry(tensor, "offset", std::to_string(offset));
  AddEntry(tensor, "length", std::to_string(ref.length));
}

}  // namespace tied::converter
