// Constants of integers: the first half of Dequantise().
#include <algorithm>
#include <optional>
#include <set>

#include "converter/passes/constant_rounding.h"
#include "converter/passes/dequantise.h"
#include "converter/passes/matrix.h"
#include "converter/passes/node_editor.h"
#include "converter/passes/quantised_tables.h"

namespace tied::converter {

std::string WithoutDomain(const std::string& op) {
  static const std::string kDomain = "com.microsoft.";
  return op.compare(0, kDomain.size(), kDomain) == 0 ? op.substr(kDomain.size()) : op;
}

bool MovesElements(const std::string& op) {
  static const std::set<std::string> kMoves = {"Transpose", "Reshape", "Squeeze",  "Unsqueeze",
                                               "Flatten",   "Gather",  "Identity", "Slice"};
  return kMoves.count(op) > 0;
}

namespace {

class TableDequantisation {
 public:
  explicit TableDequantisation(Graph graph) : graph_(std::move(graph)), tables_(&graph_), editor_(&graph_) {}

  Graph Run() {
    editor_.ForEachNode([this](const Node& node) {
      const std::string op = WithoutDomain(node.op);
      if (op == "QuantizeLinear") VisitQuantizeLinear(node);
      if (op == "DequantizeLinear") VisitDequantizeLinear(node);
      if (op == "GatherBlockQuantized") VisitGatherBlockQuantized(node);
      if (op == "MatMulNBits") VisitMatMulNBits(node);
      if (op == "MatMulBnb4") RefuseFormat(node, "blocks of 4-bit floats (bitsandbytes) are not supported");
      if (op == "Slice") VisitSlice(node);
    });
    return std::move(graph_);
  }

 private:
  // DequantizeLinear of a constant matrix, perhaps after operations that move its integers.
  void VisitDequantizeLinear(const Node& node) {
    const IntegerNames names{BehindIdentities(node.Input(0)), node.Input(1), node.Input(2)};
    if (const TensorRef* constant = graph_.FindConstant(names.values)) {
      const TensorRef tensor = *constant;
      if (tensor.dims.size() < 2) return FoldNumbers(node, tensor, names);
      if (IsIntegerTable(node, tensor)) editor_.ReplaceByValue(AddTable(node, tensor, names));
      return;
    }
    std::vector<Node> moves;  // the last one first
    const Node* producer = graph_.FindProducer(names.values);
    for (; producer != nullptr && MovesElements(producer->op); producer = graph_.FindProducer(producer->Input(0))) {
      moves.push_back(*producer);
    }
    if (moves.empty()) return;
    const TensorRef* constant = graph_.FindConstant(moves.back().Input(0));
    if (constant == nullptr || moves.back().inputs.empty() || !IsIntegerTable(node, *constant)) return;
    AddMovedTable(node, TensorRef(*constant), names, std::move(moves));
  }

  std::string BehindIdentities(std::string value) const {
    const Node* producer = graph_.FindProducer(value);
    for (; producer != nullptr && producer->op == "Identity"; producer = graph_.FindProducer(value)) {
      value = producer->Input(0);
    }
    return value;
  }

  std::string AddTable(const Node& node, const TensorRef& tensor, const IntegerNames& names) {
    const int64_t axis = node.Int("axis", 1), block = node.Int("block_size", 0);
    BlockLayout layout{BitsOf(tensor.type), block, /*whole=*/false, /*from_middle=*/false, /*down=*/false};
    layout.down = axis == 0 || axis == -2;
    if (block != 0) return tables_.AddBlocks(node, tensor, layout, names);
    const bool one_scale = tables_.Require(node, names.scales, "scales").elements() == 1;
    if (layout.bits == 8 || one_scale) return tables_.AddMatrix(node, tensor, names, axis);
    // Scales for each row of four-bit integers: one block is a row.
    layout.down = !layout.down;
    layout.block = tensor.dims[layout.down ? 0 : 1];
    return tables_.AddBlocks(node, tensor, layout, names);
  }

  // Moves the dequantised numbers instead of the integers.
  void AddMovedTable(const Node& node, const TensorRef& tensor, const IntegerNames& names, std::vector<Node> moves) {
    if (node.Int("block_size", 0) != 0) RefuseNode(node, "blocks are supported only directly on the table");
    const bool one_scale = tables_.Require(node, names.scales, "scales").elements() == 1;
    int64_t axis = node.Int("axis", 1);
    for (const Node& move : moves) {
      if (!one_scale && move.op != "Transpose") RefuseNode(node, "it has more than one scale");
      const auto perm = move.attributes.find("perm");
      const bool swaps = perm == move.attributes.end() || perm->second.ints != std::vector<int64_t>{0, 1};
      if (swaps) axis = (axis < 0 ? -1 : 1) - axis;
    }
    std::string value = tables_.AddMatrix(node, tensor, names, axis);
    std::reverse(moves.begin(), moves.end());
    for (Node& move : moves) {
      move.inputs[0] = value;
      value = graph_.FreshName(node.outputs[0] + "/moved");
      move.outputs = {value};
      if (&move != &moves.back()) editor_.Insert(move);
    }
    editor_.Replace(moves.back());
  }

  // Rounds constants: a matrix of integers for the second time, or numbers such as a scale or a bias.
  void VisitQuantizeLinear(const Node& node) {
    const std::optional<Matrix> matrix = FindMatrix(graph_, node.Input(0));
    const TensorRef* tensor = graph_.FindConstant(matrix ? matrix->constant : node.Input(0));
    const std::optional<Step> step = StepOf(graph_, node);
    if (tensor == nullptr || !step) return;
    std::optional<TensorRef> rounded = matrix ? RoundedTable(node, *tensor, *step) : RoundedNumbers(*tensor, *step);
    if (!rounded) return;
    const std::string name = graph_.FreshName(node.outputs[0] + "/rounded");
    graph_.constants[name] = std::move(*rounded);
    if (!matrix || !matrix->transposed) return editor_.ReplaceByValue(name);
    editor_.Replace({"Transpose", "", {name}, {}, {}});
  }

  // Folds a constant number or vector with one scale, or one scale for each number.
  void FoldNumbers(const Node& node, const TensorRef& tensor, const IntegerNames& names) {
    std::optional<TensorRef> numbers = DequantisedNumbers(graph_, tensor, names);
    if (!numbers) return;
    const std::string name = graph_.FreshName(node.outputs[0] + "/dequantised");
    graph_.constants[name] = std::move(*numbers);
    editor_.ReplaceByValue(name);
  }

  // hidden times the transpose of [N, K] in blocks along K.
  void VisitMatMulNBits(const Node& node) {
    const TensorRef* tensor = tables_.FindReshaped(node.Input(1));
    if (tensor == nullptr) return;
    if (!node.Input(4).empty()) RefuseNode(node, "reordered columns (g_idx) are not supported");
    TensorRef matrix = *tensor;
    matrix.dims = {node.Int("N", 0), node.Int("K", 0)};
    const BlockLayout blocks{node.Int("bits", 4), node.Int("block_size", 0), /*whole=*/true, /*from_middle=*/true};
    const std::string table = tables_.AddBlocks(node, matrix, blocks, {node.Input(1), node.Input(2), node.Input(3)});
    Node product{"com.microsoft.FusedMatMul", "", {node.Input(0), table}, {}, {}};
    product.attributes["transB"].i = 1;
    editor_.ReplaceByProduct(std::move(product), node.Input(5));
  }

  void VisitGatherBlockQuantized(const Node& node) {
    const TensorRef* tensor = tables_.FindReshaped(node.Input(0));
    if (tensor == nullptr) return;
    const int64_t bits = BitsOf(tensor->type) == 4 ? 4 : node.Int("bits", 4);
    RequireSupportedBits(node, bits);
    if (node.Int("gather_axis", 0) != 0 || node.Int("quantize_axis", 1) != 1) {
      RefuseNode(node, "it does not gather rows with blocks along the columns");
    }
    TensorRef matrix = *tensor;
    const TensorRef& scales = tables_.Require(node, node.Input(2), "scales");
    if (matrix.dims.empty() || matrix.dims[0] < 1 || scales.elements() == 0) RefuseNode(node, "its table is empty");
    if (!IsReshapedToRows(node.Input(0), matrix)) RefuseNode(node, "its table is not a matrix of rows and columns");
    const auto rows = static_cast<uint64_t>(matrix.dims[0]);
    const uint64_t integers =
        BitsOf(matrix.type) == 4 ? matrix.elements() : matrix.length * 8 / static_cast<uint64_t>(bits);
    matrix.dims = {matrix.dims[0], static_cast<int64_t>(integers / rows)};
    const BlockLayout blocks{bits, node.Int("block_size", 128), /*whole=*/false, /*from_middle=*/true};
    const std::string table = tables_.AddBlocks(node, matrix, blocks, {node.Input(0), node.Input(2), node.Input(3)});
    editor_.Replace({"Gather", "", {table, node.Input(1)}, {}, {}});
  }

  // A Slice of looked-up rows in blocks that removes the padding of the last block.
  void VisitSlice(const Node& node) {
    const Node* gather = graph_.FindProducer(node.Input(0));
    const TensorRef* table =
        gather == nullptr || gather->op != "Gather" ? nullptr : graph_.FindConstant(gather->Input(0));
    if (table == nullptr || table->quantisation == nullptr || table->quantisation->block == 0) return;
    const auto number = [&](size_t input) -> std::optional<int64_t> {
      const TensorRef* constant = graph_.FindConstant(node.Input(input));
      if (constant == nullptr || constant->elements() != 1) return std::nullopt;
      return constant->ReadInts()[0];
    };
    const std::optional<int64_t> start = number(1), end = number(2), axis = number(3);
    const ValueInfo* ids = graph_.FindInput(gather->Input(1));
    const bool last = axis == -1 || (ids != nullptr && axis == static_cast<int64_t>(ids->dims.size()));
    if (start != 0 || !end || !last || (!node.Input(4).empty() && number(4) != 1)) return;
    const int64_t block = table->quantisation->block, cols = table->dims[1];
    if (*end < 1 || *end > cols || (*end - 1) / block != (cols - 1) / block) return;
    TensorRef cropped = *table;
    cropped.dims[1] = *end;
    const std::string name = graph_.FreshName(node.outputs[0] + "/cropped");
    const std::string ids_name = gather->Input(1);
    graph_.constants[name] = std::move(cropped);
    editor_.Replace({"Gather", "", {name, ids_name}, {}, {}});
  }

  // True for a matrix, or for a Reshape of a tensor to a matrix with the same rows.
  bool IsReshapedToRows(const std::string& value, const TensorRef& tensor) const {
    const Node* reshape = graph_.FindProducer(value);
    if (reshape == nullptr) return tensor.dims.size() == 2;
    const TensorRef* shape = graph_.FindConstant(reshape->Input(1));
    if (shape == nullptr || shape->elements() != 2) return false;
    const std::vector<int64_t> dims = shape->ReadInts();
    const auto cols = static_cast<int64_t>(tensor.elements()) / tensor.dims[0];
    return dims[0] == tensor.dims[0] && (dims[1] == -1 || dims[1] == cols);
  }

  Graph graph_;
  QuantisedTables tables_;
  NodeEditor editor_;
};

}  // namespace

Graph DequantiseTables(Graph graph) { return TableDequantisation(std::move(graph)).Run(); }

}  // namespace tied::converter
