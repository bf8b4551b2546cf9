#include "converter/passes/quantised_tables.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"

namespace tied::converter {

namespace {

constexpr int64_t kMaxBlock = 1 << 20;

// Describes an unsupported type, such as "16-bit integers (uint16)"; "" for supported types.
std::string UnsupportedIntegers(const TensorRef& tensor) {
  // TensorProto.DataType.
  static const std::map<int, const char*> kNames = {
      {4, "16-bit integers (uint16)"},  {5, "16-bit integers (int16)"}, {6, "32-bit integers (int32)"},
      {12, "32-bit integers (uint32)"}, {17, "8-bit floats (float8)"},  {18, "8-bit floats (float8)"},
      {19, "8-bit floats (float8)"},    {20, "8-bit floats (float8)"},  {23, "4-bit floats (float4)"},
      {25, "2-bit integers (uint2)"},   {26, "2-bit integers (int2)"}};
  const auto found = kNames.find(tensor.onnx_type);
  return found == kNames.end() || IsQuantisedInteger(tensor.type) ? "" : found->second;
}

}  // namespace

bool IsQuantisedInteger(ElementType type) {
  return type == ElementType::kUint8 || type == ElementType::kInt8 || type == ElementType::kUint4 ||
         type == ElementType::kInt4;
}

int BitsOf(ElementType type) { return type == ElementType::kUint4 || type == ElementType::kInt4 ? 4 : 8; }

bool IsIntegerTable(const Node& node, const TensorRef& tensor) {
  if (tensor.dims.size() != 2) return false;
  const std::string unsupported = UnsupportedIntegers(tensor);
  if (!unsupported.empty()) {
    RefuseFormat(
        node, "its table has " + unsupported + "; only tables of 8-bit and 4-bit integers and of floats are supported");
  }
  return IsQuantisedInteger(tensor.type);
}

bool SameNumbers(const TensorRef& a, const TensorRef& b) {
  return a.type == b.type && a.elements() == b.elements() && a.Read() == b.Read();
}

bool SameNumbers(const Graph& graph, const std::string& a, const std::string& b) {
  const TensorRef *first = graph.FindConstant(a), *second = graph.FindConstant(b);
  return a == b || (first != nullptr && second != nullptr && SameNumbers(*first, *second));
}

bool SameZeroPoints(const Graph& graph, const std::string& a, const std::string& b) {
  return SameNumbers(graph, a, b) || (IsZero(graph, a) && IsZero(graph, b));
}

bool IsZero(const Graph& graph, const std::string& value) {
  if (value.empty()) return true;
  const TensorRef* constant = graph.FindConstant(value);
  return constant != nullptr && constant->Read().find_first_not_of('\0') == std::string::npos;
}

void RefuseNode(const Node& node, const std::string& reason) { throw ConvertError(node.Describe() + ": " + reason); }

void RefuseFormat(const Node& node, const std::string& reason) {
  RefuseNode(node, reason + "; take the model before it was quantised, and quantise the table with --dtype");
}

void RequireSupportedBits(const Node& node, int64_t bits) {
  if (bits == 4 || bits == 8) return;
  RefuseFormat(node, std::to_string(bits) + " bits are not supported; only 4 and 8 are");
}

const TensorRef* QuantisedTables::FindReshaped(const std::string& value) const {
  const Node* producer = graph_->FindProducer(value);
  return graph_->FindConstant(producer != nullptr && producer->op == "Reshape" ? producer->Input(0) : value);
}

const TensorRef& QuantisedTables::Require(const Node& node, const std::string& value, const char* what) const {
  if (value.empty()) RefuseNode(node, std::string("its ") + what + " are missing");
  const TensorRef* constant = FindReshaped(value);
  if (constant == nullptr) RefuseNode(node, std::string("its ") + what + " '" + value + "' are not constant");
  return *constant;
}

std::string QuantisedTables::Add(TensorRef tensor, Quantisation quantisation, const std::string& user) {
  tensor.quantisation = std::make_shared<const Quantisation>(std::move(quantisation));
  std::string name = graph_->FreshName(user + "/dequantised");
  graph_->constants[name] = std::move(tensor);
  return name;
}

std::string QuantisedTables::AddMatrix(const Node& node, const TensorRef& tensor, const IntegerNames& names,
                                       int64_t axis) {
  const std::string matrix = AddMatrix(node, tensor, names.zero_points);
  SetScales(node, matrix, names.scales, axis);
  return matrix;
}

std::string QuantisedTables::AddMatrix(const Node& node, const TensorRef& tensor, const std::string& zero_points) {
  if (BitsOf(tensor.type) != 8) RefuseFormat(node, "four-bit integers are supported only in blocks");
  Quantisation quantisation;
  if (!zero_points.empty()) quantisation.zero_points = Require(node, zero_points, "zero points");
  return Add(tensor, std::move(quantisation), node.outputs[0]);
}

void QuantisedTables::SetScales(const Node& node, const std::string& matrix, const std::string& scales, int64_t axis) {
  TensorRef& tensor = graph_->constants.at(matrix);
  Quantisation quantisation = *tensor.quantisation;
  quantisation.axis = axis < 0 ? axis + 2 : axis;
  quantisation.scales = Require(node, scales, "scales");
  tensor.quantisation = std::make_shared<const Quantisation>(std::move(quantisation));
}

// Sets the bytes of a row and the zero points per row. Blocks of a [cols, rows] matrix are not padded to bytes.
void QuantisedTables::SetRows(const Node& node, const TensorRef& matrix, const BlockLayout& layout,
                              Quantisation* quantisation) {
  const int64_t rows = matrix.dims[layout.down ? 1 : 0], cols = matrix.dims[layout.down ? 0 : 1];
  const bool odd = layout.bits == 4 && !layout.whole && !layout.down && cols % 2 != 0;
  if (rows < 1 || cols < 1 || cols > INT32_MAX || odd) {
    RefuseNode(node, "a table of [" + std::to_string(rows) + ", " + std::to_string(cols) + "] is invalid");
  }
  const int64_t blocks = (cols - 1) / layout.block + 1;
  const int64_t bits = layout.bits, stored = layout.whole ? blocks * layout.block : cols;
  const bool pairs = BitsOf(matrix.type) / bits == 2;  // padded to bytes; types of four bits are packed without padding
  quantisation->row_bytes = static_cast<size_t>((stored * bits + 7) / 8);
  quantisation->zero_points_per_row = static_cast<size_t>(pairs ? blocks + blocks % 2 : blocks);
  uint64_t expected = 0;
  if (layout.down) {
    expected = (CheckedBytes({rows, cols}, static_cast<size_t>(bits), node.Describe()) + 7) / 8;
  } else {
    expected = CheckedBytes({rows, static_cast<int64_t>(quantisation->row_bytes)}, 1, node.Describe());
  }
  if (matrix.length != expected) {
    RefuseNode(node, "its integers take " + std::to_string(matrix.length) + " bytes; its shape needs " +
                         std::to_string(expected));
  }
}

std::string QuantisedTables::AddBlocks(const Node& node, const TensorRef& matrix, const BlockLayout& layout,
                                       const IntegerNames& names) {
  const int64_t bits = layout.bits, block = layout.block;
  RequireSupportedBits(node, bits);
  if (!IsQuantisedInteger(matrix.type)) RefuseNode(node, "its table does not hold integers");
  if (block < 16 || block > kMaxBlock || block % 2 != 0)
    RefuseFormat(node, "blocks of " + std::to_string(block) + " are not supported");
  Quantisation quantisation;
  quantisation.bits = static_cast<int>(bits);
  quantisation.block = block;
  quantisation.axis = layout.down ? 1 : 0;
  SetRows(node, matrix, layout, &quantisation);
  quantisation.scales = Require(node, names.scales, "scales");
  const bool from_middle = layout.from_middle && matrix.type == ElementType::kUint8;
  quantisation.default_zero_point = from_middle ? 1 << (bits - 1) : 0;
  if (!names.zero_points.empty()) quantisation.zero_points = Require(node, names.zero_points, "zero points");
  if (IsFloat(quantisation.zero_points.type)) RefuseFormat(node, "zero points must be integers");
  return Add(matrix, std::move(quantisation), node.outputs[0]);
}

}  // namespace tied::converter
