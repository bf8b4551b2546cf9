// The forms that quantised models have: a matrix of integers becomes a constant that knows what its integers stand for,
// and what uses it becomes the operation of the same name on floating-point numbers.
//
// Activations that a graph rounds to eight bits are not rounded here: the results are those that it approximates.
#include <algorithm>
#include <optional>
#include <set>

#include "base/error.h"
#include "converter/passes/passes.h"

namespace tied::converter {

namespace {

constexpr int64_t kMaxBlock = 1 << 20;

bool IsInteger(ElementType type) {
  return type == ElementType::kUint8 || type == ElementType::kInt8 || type == ElementType::kUint4 ||
         type == ElementType::kInt4;
}

int BitsOf(ElementType type) { return type == ElementType::kUint4 || type == ElementType::kInt4 ? 4 : 8; }

[[noreturn]] void Refuse(const Node& node, const std::string& reason) {
  throw ConvertError(node.Describe() + ": " + reason);
}

class Dequantisation {
 public:
  explicit Dequantisation(Graph graph) : graph_(std::move(graph)) {}

  Graph Run() {
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node node = graph_.nodes[i];
      if (node.outputs.empty()) continue;
      const auto fixed = [this](const std::string& input) { return IsFixed(input); };
      if (std::all_of(node.inputs.begin(), node.inputs.end(), fixed)) fixed_.insert(node.outputs[0]);
      if (node.op == "DequantizeLinear") {
        FoldDequantizeLinear(node);
      } else if (node.op == "com.microsoft.GatherBlockQuantized") {
        FoldGather(node, i);
      } else if (node.op == "com.microsoft.MatMulNBits") {
        FoldMatMulNBits(node, i);
      } else if (node.op == "Mul") {
        FoldMatMulInteger(node, i);
      } else if (node.op == "com.microsoft.DynamicQuantizeMatMul") {
        FoldProduct(node, i, node.Input(0), {node.Input(1), node.Input(2), node.Input(3)}, node.Input(4));
      } else if (node.op == "com.microsoft.MatMulIntegerToFloat") {
        FoldMatMulIntegerToFloat(node, i);
      }
    }
    return std::move(graph_);
  }

 private:
  struct Integers {
    std::string values, scales, zero_points;  // "" for no zero points
  };

  // What hidden states are rounded with.
  struct Rounding {
    std::string hidden, scale, zero_point;
  };

  struct Blocks {
    int64_t bits;
    int64_t block;     // columns
    bool whole;        // each row is filled up to whole blocks
    bool from_middle;  // where there are no zero points, uint8 counts from the middle of the range
  };

  // A constant, perhaps behind a Reshape.
  const TensorRef* FindReshaped(const std::string& value) const {
    const Node* producer = graph_.FindProducer(value);
    return graph_.FindConstant(producer != nullptr && producer->op == "Reshape" ? producer->Input(0) : value);
  }

  bool IsFixed(const std::string& value) const {
    return value.empty() || graph_.FindConstant(value) != nullptr || fixed_.count(value) > 0;
  }

  const TensorRef& Constant(const Node& node, const std::string& value, const char* what) const {
    const TensorRef* constant = FindReshaped(value);
    if (constant == nullptr) Refuse(node, std::string("its ") + what + " are not constant");
    return *constant;
  }

  std::string FreshName(std::string name) const {
    while (graph_.FindConstant(name) != nullptr || graph_.FindInput(name) != nullptr ||
           graph_.FindProducer(name) != nullptr) {
      name += '_';
    }
    return name;
  }

  static bool Same(const TensorRef& a, const TensorRef& b) {
    return a.type == b.type && a.elements() == b.elements() && a.Read() == b.Read();
  }

  // By name, or two constants that hold the same.
  bool Same(const std::string& a, const std::string& b) const {
    const TensorRef *first = graph_.FindConstant(a), *second = graph_.FindConstant(b);
    if (a == b || first == nullptr || second == nullptr) return a == b;
    return Same(*first, *second);
  }

  // True for a view of a matrix of integers that has the scales and zero points which `pair` rounds with already.
  bool IsRoundedBy(const Node& pair, std::string value) const {
    const Node* view = graph_.FindProducer(value);
    for (; view != nullptr && (view->op == "Transpose" || view->op == "Identity"); view = graph_.FindProducer(value)) {
      value = view->Input(0);
    }
    const TensorRef* matrix = graph_.FindConstant(value);
    const TensorRef *scales = graph_.FindConstant(pair.Input(1)), *zero_points = graph_.FindConstant(pair.Input(2));
    if (matrix == nullptr || matrix->quantisation == nullptr || scales == nullptr || zero_points == nullptr)
      return false;
    const Quantisation& quantisation = *matrix->quantisation;
    // In a square the number of scales does not tell their axis.
    const bool told = scales->elements() == 1 || matrix->dims[0] != matrix->dims[1];
    return told && quantisation.block == 0 && Same(quantisation.scales, *scales) &&
           Same(quantisation.zero_points, *zero_points);
  }

  // Adds the matrix as a constant of the graph, and returns its name.
  std::string AddMatrix(TensorRef tensor, Quantisation quantisation, const std::string& user) {
    tensor.quantisation = std::make_shared<const Quantisation>(std::move(quantisation));
    std::string name = FreshName(user + "/dequantised");
    graph_.constants[name] = std::move(tensor);
    return name;
  }

  // A matrix with one scale, or one for each index of dimension `axis`.
  std::string AddMatrix(const Node& node, const TensorRef& tensor, const Integers& integers, int64_t axis) {
    if (BitsOf(tensor.type) != 8) Refuse(node, "four-bit integers are supported in blocks alone");
    Quantisation quantisation;
    quantisation.axis = axis < 0 ? axis + 2 : axis;
    quantisation.scales = Constant(node, integers.scales, "scales");
    if (!integers.zero_points.empty()) quantisation.zero_points = Constant(node, integers.zero_points, "zero points");
    return AddMatrix(tensor, std::move(quantisation), node.outputs[0]);
  }

  // On a constant matrix, on its transpose, or on rows that a Gather has picked; of activations, pairs with
  // QuantizeLinear leave nothing.
  void FoldDequantizeLinear(const Node& node) {
    const Integers integers{node.Input(0), node.Input(1), node.Input(2)};
    if (const TensorRef* tensor = graph_.FindConstant(integers.values)) {
      if (tensor->dims.size() != 2 || !IsInteger(tensor->type)) return;
      const TensorRef matrix = *tensor;
      const int64_t axis = node.Int("axis", 1), block = node.Int("block_size", 0);
      if (block != 0 && axis != 1 && axis != -1) Refuse(node, "blocks along the first dimension are not supported");
      const Blocks blocks{BitsOf(matrix.type), block, /*whole=*/false, /*from_middle=*/false};
      graph_.ReplaceUses(node.outputs[0], block == 0 ? AddMatrix(node, matrix, integers, axis)
                                                     : AddBlocks(node, matrix, blocks, integers));
      return;
    }
    const Node* producer = graph_.FindProducer(integers.values);
    if (producer == nullptr) return;
    if (producer->op == "QuantizeLinear") {
      const TensorRef* scale = graph_.FindConstant(node.Input(1));
      const bool same_axis =
          (scale != nullptr && scale->elements() == 1) || node.Int("axis", 1) == producer->Int("axis", 1);
      const bool same = Same(node.Input(1), producer->Input(1)) && Same(node.Input(2), producer->Input(2)) &&
                        same_axis && node.Int("block_size", 0) == producer->Int("block_size", 0);
      if (!same) return;
      if (IsFixed(producer->Input(0)) && !IsRoundedBy(node, producer->Input(0)))
        Refuse(node, "weights that are rounded where they are used are not supported");
      graph_.ReplaceUses(node.outputs[0], producer->Input(0));
      return;
    }
    const bool transposed = producer->op == "Transpose";
    if ((!transposed && producer->op != "Gather") || producer->inputs.empty()) return;
    const TensorRef* tensor = graph_.FindConstant(producer->inputs[0]);
    if (tensor == nullptr || tensor->dims.size() != 2 || !IsInteger(tensor->type)) return;
    if (node.Int("block_size", 0) != 0) Refuse(node, "blocks are supported on the table itself alone");
    if (!transposed && Constant(node, integers.scales, "scales").elements() != 1) {
      Refuse(node, "it has more than one scale");
    }
    const TensorRef matrix = *tensor;
    const auto perm = producer->attributes.find("perm");
    const bool swaps = perm == producer->attributes.end() || perm->second.ints != std::vector<int64_t>{0, 1};
    const int64_t axis = node.Int("axis", 1);
    Node moved = *producer;
    moved.inputs[0] = AddMatrix(node, matrix, integers, transposed && swaps ? (axis < 0 ? -1 : 1) - axis : axis);
    Replace(node, moved);
  }

  // `by` takes the place of a node, under its name.
  void Replace(const Node& node, Node by) {
    by.name = node.name;
    by.outputs = {node.outputs[0]};
    for (Node& place : graph_.nodes) {
      if (place.outputs == node.outputs) place = by;
    }
  }

  // By DynamicQuantizeLinear, or by QuantizeLinear with one scale.
  std::optional<Rounding> RoundingOf(const std::string& value) const {
    const Node* producer = graph_.FindProducer(value);
    if (producer == nullptr || producer->outputs[0] != value || producer->Input(0).empty()) return std::nullopt;
    const std::vector<std::string>& outputs = producer->outputs;
    if (producer->op == "DynamicQuantizeLinear" && outputs.size() == 3) {
      return Rounding{producer->Input(0), outputs[1], outputs[2]};
    }
    const TensorRef* scale = producer->op == "QuantizeLinear" ? graph_.FindConstant(producer->Input(1)) : nullptr;
    if (scale == nullptr || scale->elements() != 1) return std::nullopt;
    return Rounding{producer->Input(0), producer->Input(1), producer->Input(2)};
  }

  // The product takes away the zero point that `rounding` has added.
  void CheckZeroPoint(const Node& product, const Rounding& rounding, const std::string& zero_point) const {
    if (!Same(zero_point, rounding.zero_point)) {
      Refuse(product, "its zero point is not the one that its hidden states are rounded with");
    }
  }

  // Mul(Cast(MatMulInteger(rounded x, W)), Mul(scale of x, scales of W)).
  void FoldMatMulInteger(const Node& node, size_t index) {
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const Node* cast = graph_.FindProducer(node.Input(i));
      const Node* product = cast != nullptr && cast->op == "Cast" ? graph_.FindProducer(cast->Input(0)) : nullptr;
      if (product == nullptr || product->op != "MatMulInteger") continue;
      const std::optional<Rounding> rounding = RoundingOf(product->Input(0));
      const std::string scales = rounding ? ScalesBeside(*rounding, node.Input(1 - i)) : "";
      if (scales.empty()) {
        Refuse(*product, "its product is not scaled as DynamicQuantizeLinear and a constant scale ask for");
      }
      CheckZeroPoint(*product, *rounding, product->Input(2));
      FoldProduct(node, index, rounding->hidden, {product->Input(1), scales, product->Input(3)}, "");
      return;
    }
  }

  // The other factor beside the scale of `rounding`.
  std::string ScalesBeside(const Rounding& rounding, const std::string& value) const {
    const Node* scales = graph_.FindProducer(value);
    if (scales == nullptr || scales->op != "Mul" || scales->inputs.size() != 2) return "";
    if (Same(scales->inputs[0], rounding.scale)) return scales->inputs[1];
    return Same(scales->inputs[1], rounding.scale) ? scales->inputs[0] : "";
  }

  void FoldMatMulIntegerToFloat(const Node& node, size_t index) {
    const std::optional<Rounding> rounding = RoundingOf(node.Input(0));
    if (!rounding) return;
    if (!Same(node.Input(2), rounding->scale)) {
      Refuse(node, "its scale is not the one that its hidden states are rounded with");
    }
    CheckZeroPoint(node, *rounding, node.Input(4));
    FoldProduct(node, index, rounding->hidden, {node.Input(1), node.Input(3), node.Input(5)}, node.Input(6));
  }

  // Node `index` becomes hidden times a matrix of integers [cols, rows], plus a bias.
  void FoldProduct(const Node& node, size_t index, const std::string& hidden, const Integers& integers,
                   const std::string& bias) {
    const TensorRef* tensor = graph_.FindConstant(integers.values);
    if (tensor == nullptr || tensor->dims.size() != 2 || !IsInteger(tensor->type)) return;
    const TensorRef matrix = *tensor;
    for (const std::string& value : {integers.scales, integers.zero_points}) {
      const TensorRef* numbers = FindReshaped(value);
      if (numbers == nullptr || numbers->elements() == 1) continue;
      const bool along = graph_.FindConstant(value) != nullptr && numbers->dims.back() == matrix.dims[1];
      if (!along || numbers->elements() != static_cast<uint64_t>(matrix.dims[1])) {
        Refuse(node, "'" + value + "' has not one number for each column of '" + integers.values + "'");
      }
    }
    SetProduct(index, {"MatMul", node.name, {hidden, AddMatrix(node, matrix, integers, 1)}, node.outputs, {}}, bias);
  }

  void SetProduct(size_t index, Node product, const std::string& bias) {
    const std::string sum = product.outputs[0];
    if (!bias.empty()) {
      product.outputs = {FreshName(sum + "/without_bias")};
      const Node add{"Add", product.name, {product.outputs[0], bias}, {sum}, {}};
      graph_.nodes.insert(graph_.nodes.begin() + static_cast<std::ptrdiff_t>(index) + 1, add);
    }
    graph_.nodes[index] = std::move(product);
  }

  // hidden times the transpose of [N, K] in blocks along K.
  void FoldMatMulNBits(const Node& node, size_t index) {
    const TensorRef* tensor = FindReshaped(node.Input(1));
    if (tensor == nullptr) return;
    if (!node.Input(4).empty()) Refuse(node, "an order of the columns (g_idx) is not supported");
    TensorRef matrix = *tensor;
    matrix.dims = {node.Int("N", 0), node.Int("K", 0)};
    const Blocks blocks{node.Int("bits", 4), node.Int("block_size", 0), /*whole=*/true, /*from_middle=*/true};
    const std::string table = AddBlocks(node, matrix, blocks, {node.Input(1), node.Input(2), node.Input(3)});
    Node product{"com.microsoft.FusedMatMul", node.name, {node.Input(0), table}, node.outputs, {}};
    product.attributes["transB"].i = 1;
    SetProduct(index, std::move(product), node.Input(5));
  }

  void FoldGather(const Node& node, size_t index) {
    const TensorRef* tensor = FindReshaped(node.Input(0));
    if (tensor == nullptr) return;
    const int64_t bits = BitsOf(tensor->type) == 4 ? 4 : node.Int("bits", 4);
    CheckBits(node, bits);
    if (node.Int("gather_axis", 0) != 0 || node.Int("quantize_axis", 1) != 1) {
      Refuse(node, "it does not gather rows of blocks along the columns");
    }
    TensorRef matrix = *tensor;
    const TensorRef& scales = Constant(node, node.Input(2), "scales");
    if (matrix.dims.empty() || matrix.dims[0] < 1 || scales.elements() == 0) Refuse(node, "its table is empty");
    if (!IsReshapedToRows(node.Input(0), matrix)) Refuse(node, "its table is not of rows and columns");
    const auto rows = static_cast<uint64_t>(matrix.dims[0]);
    const uint64_t integers =
        BitsOf(matrix.type) == 4 ? matrix.elements() : matrix.length * 8 / static_cast<uint64_t>(bits);
    matrix.dims = {matrix.dims[0], static_cast<int64_t>(integers / rows)};
    const Blocks blocks{bits, node.Int("block_size", 128), /*whole=*/false, /*from_middle=*/true};
    const std::string table = AddBlocks(node, matrix, blocks, {node.Input(0), node.Input(2), node.Input(3)});
    graph_.nodes[index] = {"Gather", node.name, {table, node.Input(1)}, node.outputs, {}};
  }

  // A matrix, or what a Reshape makes one of without a change of its rows.
  bool IsReshapedToRows(const std::string& value, const TensorRef& tensor) const {
    const Node* reshape = graph_.FindProducer(value);
    if (reshape == nullptr) return tensor.dims.size() == 2;
    const TensorRef* shape = graph_.FindConstant(reshape->Input(1));
    if (shape == nullptr || shape->elements() != 2) return false;
    const std::vector<int64_t> dims = shape->ReadInts();
    const auto cols = static_cast<int64_t>(tensor.elements()) / tensor.dims[0];
    return dims[0] == tensor.dims[0] && (dims[1] == -1 || dims[1] == cols);
  }

  static void CheckBits(const Node& node, int64_t bits) {
    if (bits != 4 && bits != 8) Refuse(node, std::to_string(bits) + " bits are not supported: 4 and 8 are");
  }

  // matrix.dims: [rows, cols].
  std::string AddBlocks(const Node& node, const TensorRef& matrix, const Blocks& layout, const Integers& integers) {
    const int64_t bits = layout.bits, block = layout.block;
    CheckBits(node, bits);
    if (!IsInteger(matrix.type)) Refuse(node, "its table is not of integers");
    if (block < 16 || block > kMaxBlock || block % 2 != 0)
      Refuse(node, "blocks of " + std::to_string(block) + " are not possible");
    const int64_t rows = matrix.dims[0], cols = matrix.dims[1];
    if (rows < 1 || cols < 1 || cols > INT32_MAX || (bits == 4 && !layout.whole && cols % 2 != 0)) {
      Refuse(node, "a table of [" + std::to_string(rows) + ", " + std::to_string(cols) + "] is not possible");
    }
    Quantisation quantisation;
    const int64_t blocks = (cols - 1) / block + 1;
    quantisation.bits = static_cast<int>(bits);
    quantisation.block = block;
    quantisation.row_bytes = static_cast<size_t>((layout.whole ? blocks * block : cols) * bits / 8);
    quantisation.scales = Constant(node, integers.scales, "scales");
    const int64_t in_byte = BitsOf(matrix.type) / bits;  // of the type: those of four bits follow each other
    quantisation.zero_points_per_row = static_cast<size_t>(in_byte == 2 ? blocks + blocks % 2 : blocks);
    const bool from_middle = layout.from_middle && matrix.type == ElementType::kUint8;
    quantisation.default_zero_point = from_middle ? 1 << (bits - 1) : 0;
    if (!integers.zero_points.empty()) quantisation.zero_points = Constant(node, integers.zero_points, "zero points");
    if (IsFloat(quantisation.zero_points.type)) Refuse(node, "zero points that are no integers are not supported");
    const uint64_t expected = CheckedBytes({rows, static_cast<int64_t>(quantisation.row_bytes)}, 1, node.Describe());
    if (matrix.length != expected) {
      Refuse(node, "its integers take " + std::to_string(matrix.length) + " bytes, its shape needs " +
                       std::to_string(expected));
    }
    return AddMatrix(matrix, std::move(quantisation), node.outputs[0]);
  }

  Graph graph_;
  std::set<std::string> fixed_;  // values that are made of constants alone
};

}  // namespace

Graph Dequantise(Graph graph) { return Dequantisation(std::move(graph)).Run(); }

}  // namespace tied::converter
