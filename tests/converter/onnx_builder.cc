#include "tests/converter/onnx_builder.h"

#include <fstream>
#include <regex>
#include <set>
#include <stdexcept>

#include "tests/support/oracle.h"

namespace tied::test {

namespace {

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> parts;
  const std::regex part("[^, ]+");
  for (std::sregex_iterator it(text.begin(), text.end(), part), end; it != end; ++it) parts.push_back(it->str());
  return parts;
}

void AddAttributes(onnx::NodeProto* node, const std::string& text) {
  const std::regex pattern(R"((\w+)=(\[([^\]]*)\]|-?\d+|'([^']*)'))");
  for (std::sregex_iterator it(text.begin(), text.end(), pattern), end; it != end; ++it) {
    onnx::AttributeProto* attribute = node->add_attribute();
    attribute->set_name((*it)[1].str());
    if ((*it)[2].str()[0] == '[') {
      attribute->set_type(onnx::AttributeProto::INTS);
      for (const std::string& number : Split((*it)[3].str())) attribute->add_ints(std::stoll(number));
    } else if ((*it)[2].str()[0] == '\'') {
      attribute->set_type(onnx::AttributeProto::STRING);
      attribute->set_s((*it)[4].str());
    } else {
      attribute->set_type(onnx::AttributeProto::INT);
      attribute->set_i(std::stoll((*it)[2].str()));
    }
  }
}

// The constants of a model that the nodes of a branch use.
std::set<std::string> UsedBy(const Lines& lines) {
  std::set<std::string> used;
  const std::regex name(R"(\w+)");
  for (const std::string& line : lines) {
    for (std::sregex_iterator it(line.begin(), line.end(), name), end; it != end; ++it) used.insert(it->str());
  }
  return used;
}

onnx::TensorProto TableTensor(const std::string& name, Storage storage, const std::string& folder) {
  const std::vector<float> table = Table();
  onnx::TensorProto tensor = RawTensor(name, {kRows, kCols}, table);
  if (storage == Storage::kTyped) {
    tensor.clear_raw_data();
    for (const float value : table) tensor.add_float_data(value);
  }
  if (storage == Storage::kExternal) {
    constexpr size_t kOffset = 64;
    std::ofstream(folder + "/table.bin", std::ios::binary) << std::string(kOffset, 'x') << tensor.raw_data();
    tensor.clear_raw_data();
    tensor.set_data_location(onnx::TensorProto::EXTERNAL);
    for (const auto& [key, value] : {std::pair<const char*, std::string>{"location", "table.bin"},
                                     {"offset", std::to_string(kOffset)},
                                     {"length", std::to_string(table.size() * sizeof(float))}}) {
      onnx::StringStringEntryProto* entry = tensor.add_external_data();
      entry->set_key(key);
      entry->set_value(value);
    }
  }
  return tensor;
}

void AddTransposedTable(onnx::GraphProto* graph) {
  const std::vector<float> table = Table();
  std::vector<float> transposed(table.size());
  for (size_t r = 0; r < size_t{kRows}; ++r) {
    for (size_t c = 0; c < size_t{kCols}; ++c) transposed[c * size_t{kRows} + r] = table[r * size_t{kCols} + c];
  }
  *graph->add_initializer() = RawTensor("Wt", {kCols, kRows}, transposed);
}

void AddTable(onnx::GraphProto* parent, onnx::GraphProto* then, onnx::GraphProto* otherwise, Storage storage,
              const std::string& folder) {
  const onnx::TensorProto table = TableTensor("W", storage, folder);
  switch (storage) {
    case Storage::kConstantNodes:
      AddConstant(then, table);
      AddConstant(otherwise, table);
      break;
    case Storage::kRepeated:
      *then->add_initializer() = table;
      *otherwise->add_initializer() = table;
      break;
    default:
      *parent->add_initializer() = table;
  }
}

// A branch whose lines compute `made`, with an empty constant for the other output.
void AddBranch(onnx::NodeProto* node, const char* attribute, onnx::GraphProto branch, const Lines& lines,
               const std::string& made, bool first) {
  onnx::TensorProto nothing;
  nothing.set_name("nothing");
  nothing.set_data_type(onnx::TensorProto::FLOAT);
  nothing.add_dims(0);
  AddConstant(&branch, nothing);
  AddNodes(&branch, lines);
  for (const std::string& output : {first ? made : nothing.name(), first ? nothing.name() : made}) {
    AddValue(branch.mutable_output(), output, onnx::TensorProto::FLOAT, {-1, -1, -1});
  }
  onnx::AttributeProto* graph = node->add_attribute();
  graph->set_name(attribute);
  graph->set_type(onnx::AttributeProto::GRAPH);
  *graph->mutable_g() = std::move(branch);
}

void AddSmallConstants(onnx::GraphProto* graph, const std::set<std::string>& used) {
  for (const onnx::TensorProto& tensor :
       {RawTensor("bias", {kRows}, Bias()), RawTensor("scale", {}, {kScale}), IntTensor("m1", {-1}),
        IntTensor("flat", {-1, kCols}), IntTensor("unflat", {-1, 1, kRows}), IntTensor("width", {kCols}),
        IntTensor("axis0", {0}), IntTensor("axis1", {1}), IntTensor("pairs", {-1, 2})}) {
    if (used.count(tensor.name()) > 0) *graph->add_initializer() = tensor;
  }
}

}  // namespace

void AddNodes(onnx::GraphProto* graph, const Lines& lines) {
  const std::regex pattern(R"(([^=]+) = (?:([\w.]+)\.)?(\w+)\(([^)]*)\)\s*(?:\{(.*)\})?)");
  for (const std::string& line : lines) {
    std::smatch match;
    if (!std::regex_match(line, match, pattern)) throw std::invalid_argument(line);
    onnx::NodeProto* node = graph->add_node();
    for (const std::string& output : Split(match[1])) node->add_output(output);
    node->set_name(node->output(0) + "_node");
    node->set_domain(match[2].str());
    node->set_op_type(match[3].str());
    for (const std::string& input : Split(match[4])) node->add_input(input);
    AddAttributes(node, match[5].str());
  }
}

void AddValue(google::protobuf::RepeatedPtrField<onnx::ValueInfoProto>* values, const std::string& name, int type,
              const std::vector<int64_t>& dims) {
  onnx::ValueInfoProto* value = values->Add();
  value->set_name(name);
  onnx::TypeProto::Tensor* tensor = value->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  for (const int64_t dim : dims) {
    onnx::TensorShapeProto::Dimension* added = tensor->mutable_shape()->add_dim();
    if (dim < 0) {
      added->set_dim_param(name + "_" + std::to_string(tensor->shape().dim_size()));
    } else {
      added->set_dim_value(dim);
    }
  }
}

onnx::TensorProto RawTensor(const std::string& name, const std::vector<int64_t>& dims, const std::vector<float>& data) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(data.data(), data.size() * sizeof(float));
  return tensor;
}

onnx::TensorProto IntTensor(const std::string& name, const std::vector<int64_t>& data, bool scalar) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::INT64);
  if (!scalar) tensor.add_dims(static_cast<int64_t>(data.size()));
  for (const int64_t value : data) tensor.add_int64_data(value);
  return tensor;
}

onnx::TensorProto BytesTensor(const std::string& name, const std::vector<int64_t>& dims, const std::string& bytes) {
  onnx::TensorProto tensor;
  tensor.set_name(name);
  tensor.set_data_type(onnx::TensorProto::UINT8);
  for (const int64_t dim : dims) tensor.add_dims(dim);
  tensor.set_raw_data(bytes);
  return tensor;
}

void AddConstant(onnx::GraphProto* graph, const onnx::TensorProto& tensor) {
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type("Constant");
  node->add_output(tensor.name());
  node->set_name(tensor.name() + "_node");
  onnx::AttributeProto* value = node->add_attribute();
  value->set_name("value");
  value->set_type(onnx::AttributeProto::TENSOR);
  *value->mutable_t() = tensor;
}

std::vector<float> Table() { return MakeNumbers(Numbers::kNormal, size_t{kRows} * size_t{kCols}, 5); }
std::vector<float> Bias() { return MakeNumbers(Numbers::kNormal, size_t{kRows}, 6); }

onnx::ModelProto MakeModel(const ModelForm& form, const std::string& folder) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  for (const auto& [domain, version] : {std::pair<const char*, int64_t>{"", form.opset}, {"com.microsoft", 1}}) {
    onnx::OperatorSetIdProto* opset = model.add_opset_import();
    opset->set_domain(domain);
    opset->set_version(version);
  }
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name("main_graph");
  AddValue(graph->mutable_input(), "use_lm_head", onnx::TensorProto::BOOL, {1});
  AddValue(graph->mutable_input(), "input_ids", onnx::TensorProto::INT64, {-1, -1});
  AddValue(graph->mutable_input(), "pre_logits", onnx::TensorProto::FLOAT, {-1, 1, kCols});
  AddValue(graph->mutable_output(), "embed_matrix", onnx::TensorProto::FLOAT, {-1, -1, kCols});
  AddValue(graph->mutable_output(), "logits", onnx::TensorProto::FLOAT, {-1, 1, kRows});

  std::set<std::string> used = UsedBy(form.head);
  used.merge(UsedBy(form.embed));
  AddSmallConstants(graph, used);
  if (used.count("Wt") > 0) AddTransposedTable(graph);
  onnx::GraphProto head, embed;
  head.set_name("head_branch");
  embed.set_name("embed_branch");
  AddTable(graph, &head, &embed, form.storage, folder);
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type("If");
  node->set_name("if_node");
  node->add_input("use_lm_head");
  node->add_output("embed_matrix");
  node->add_output("logits");
  AddBranch(node, "then_branch", std::move(head), form.head, "L", /*first=*/false);
  AddBranch(node, "else_branch", std::move(embed), form.embed, "E", /*first=*/true);
  return model;
}

void Save(const onnx::ModelProto& model, const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  model.SerializeToOstream(&file);
}

}  // namespace tied::test
