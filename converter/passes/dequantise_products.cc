// Products of integers: the second half of Dequantise(). Activations are not rounded as the graph rounds them: the
// result is the one that the graph approximates.
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "base/error.h"
#include "converter/passes/dequantise.h"
#include "converter/passes/matrix.h"
#include "converter/passes/node_editor.h"
#include "converter/passes/passes.h"
#include "converter/passes/quantised_tables.h"

namespace tied::converter {

namespace {

constexpr size_t kMaxFactors = 16;
// Of hidden states and logits. Smaller steps cut everything off, larger ones round everything to zero.
constexpr float kMinStep = 1e-9f, kMaxStep = 1e9f;

class ProductDequantisation {
 public:
  explicit ProductDequantisation(Graph graph) : graph_(std::move(graph)), tables_(&graph_), editor_(&graph_) {}

  Graph Run() {
    editor_.ForEachNode([this](const Node& node) {
      const auto fixed = [this](const std::string& input) { return IsFixed(input); };
      if (std::all_of(node.inputs.begin(), node.inputs.end(), fixed)) fixed_.insert(node.outputs[0]);
      Visit(node, WithoutDomain(node.op));
    });
    CheckScaled();
    return std::move(graph_);
  }

 private:
  // Integers and the floating-point numbers that they represent: integers = value / (product of the steps) + zero
  // point.
  struct Rounded {
    std::string value;
    std::vector<std::string> steps;
    std::string zero_point;    // "" for 0
    int64_t axis = 1;          // of steps, if they are more than one number
    int64_t block = 0;         // of steps, if they are more than one number
    std::string matrix = "";   // a factor of the value whose scales are not known yet
    std::string product = "";  // the node that multiplied integers, for messages
  };

  // A matrix whose scales are not known yet.
  struct Unscaled {
    std::string integers;  // their name in the model
    bool first;            // it is the first operand of the product
    bool transposed;       // the constant is the transposed operand
    bool moved = false;    // the product's dimensions have been reordered
    int64_t size;          // of the result along the scales
  };

  void Visit(const Node& node, const std::string& op) {
    if (op == "DynamicQuantizeLinear" && node.outputs.size() == 3) {
      rounded_[node.outputs[0]] = {node.Input(0), {node.outputs[1]}, node.outputs[2]};
    } else if (op == "QuantizeLinear") {
      CheckStep(node, node.Input(1));
      rounded_[node.outputs[0]] = {
          node.Input(0), {node.Input(1)}, node.Input(2), node.Int("axis", 1), node.Int("block_size", 0)};
    } else if (op == "DequantizeLinear") {
      VisitDequantizeLinear(node);
    } else if (op == "Mul") {
      VisitMul(node);
    } else if (op == "MatMulInteger") {
      VisitMatMulInteger(node);
    } else if (op == "DynamicQuantizeMatMul") {
      (void)VisitProduct(node, {node.Input(0), "", ""}, {node.Input(1), node.Input(2), node.Input(3)}, node.Input(4));
    } else if (op == "MatMulIntegerToFloat") {
      (void)VisitProduct(node, {node.Input(0), node.Input(2), node.Input(4)},
                         {node.Input(1), node.Input(3), node.Input(5)}, node.Input(6));
    } else if (op == "QLinearMatMul") {
      CheckStep(node, node.Input(6));
      const bool found = VisitProduct(node, {node.Input(0), node.Input(1), node.Input(2)},
                                      {node.Input(3), node.Input(4), node.Input(5)}, "");
      if (found) SetInPlace(node.outputs[0], {"", {node.Input(6)}, node.Input(7)});
    } else if (MovesElements(op) || op == "Cast") {
      VisitMove(node, op);
    }
  }

  bool IsFixed(const std::string& value) const {
    return value.empty() || graph_.FindConstant(value) != nullptr || fixed_.count(value) > 0;
  }

  bool IsOneNumber(const std::string& value) const {
    const TensorRef* constant = graph_.FindConstant(value);
    return constant == nullptr || constant->elements() == 1;
  }

  // Activations are not rounded, which is right only if their steps are such that rounding changes them little.
  void CheckStep(const Node& node, const std::string& name) const {
    const TensorRef* step = graph_.FindConstant(name);
    if (step == nullptr || !IsFloat(step->type)) return;
    for (const float number : step->ReadFloats()) {
      if (std::isfinite(number) && number >= kMinStep && number <= kMaxStep) continue;
      RefuseNode(node, "rounds to steps of " + ToText(number) +
                           "; a step must be positive, and such that numbers are neither all cut off nor all zero");
    }
  }

  static std::string ToText(float number) {
    std::ostringstream text;
    text << number;
    return text.str();
  }

  // A value that holds integers in the model now holds floating-point numbers, so all its users must support that.
  void SetInPlace(const std::string& value, Rounded rounded) {
    rounded.value = value;
    in_place_.insert(value);
    rounded_[value] = std::move(rounded);
  }

  const Rounded* FindRounded(const std::string& value) const {
    const auto found = rounded_.find(value);
    return found == rounded_.end() ? nullptr : &found->second;
  }

  void VisitMove(const Node& node, const std::string& op) {
    const Rounded* found = FindRounded(node.Input(0));
    if (found == nullptr) return;
    const Rounded rounded = *found;
    if (op == "Cast") {
      const bool plain = rounded.zero_point.empty() && IsFloat(static_cast<ElementType>(node.Int("to", 0)));
      if (!plain) return;
      editor_.ReplaceByValue(rounded.value);
    } else {
      if (rounded.steps.size() != 1 || !IsOneNumber(rounded.steps[0])) {
        if (rounded.steps.size() != 1 || rounded.matrix.empty()) return;
      }
      editor_.current().inputs[0] = rounded.value;
      if (!rounded.matrix.empty()) unscaled_.at(rounded.matrix).moved = true;
    }
    SetInPlace(node.outputs[0], rounded);
    understood_.insert(node.outputs[0]);
  }

  // Removes pairs of QuantizeLinear and DequantizeLinear.
  void VisitDequantizeLinear(const Node& node) {
    const Rounded* found = FindRounded(node.Input(0));
    if (found == nullptr) return;
    const Rounded& rounded = *found;
    const bool one = IsOneNumber(node.Input(1)) || node.Int("axis", 1) == rounded.axis;
    const bool same =
        rounded.steps.size() == 1 && rounded.matrix.empty() && SameNumbers(graph_, node.Input(1), rounded.steps[0]) &&
        SameZeroPoints(graph_, node.Input(2), rounded.zero_point) && one && node.Int("block_size", 0) == rounded.block;
    if (!same) return;
    if (IsFixed(rounded.value)) RefuseFormat(node, "weights that are rounded at run time are not supported");
    editor_.ReplaceByValue(rounded.value);
    understood_.insert(node.outputs[0]);
  }

  // The constant matrix of integers of an operand; nullopt for other operands.
  std::optional<Matrix> FindIntegers(const Node& node, const std::string& value) const {
    const std::optional<Matrix> matrix = FindMatrix(graph_, value);
    if (!matrix) return std::nullopt;
    const TensorRef& tensor = *graph_.FindConstant(matrix->constant);
    return tensor.quantisation == nullptr && IsIntegerTable(node, tensor) ? matrix : std::nullopt;
  }

  // Requires one number, or one for each row or column of the operand: along the last dimension of the result for the
  // second operand, along the dimension before it for the first.
  void CheckAlong(const Node& node, const std::string& value, const std::string& integers, bool first, int64_t size,
                  bool moved) const {
    const TensorRef* numbers = tables_.FindReshaped(value);
    if (numbers == nullptr || numbers->elements() == 1) return;
    const std::vector<int64_t>& dims = numbers->dims;
    const bool fits =
        numbers->elements() == static_cast<uint64_t>(size) && graph_.FindConstant(value) != nullptr && !moved;
    const bool column = dims.size() > 1 && dims.back() == 1 && dims[dims.size() - 2] == size;
    if (fits && (first ? column || size == 1 : dims.back() == size)) return;
    RefuseNode(node, "'" + value + "' does not have one number for each " + (first ? "row" : "column") + " of '" +
                         integers + "'");
  }

  static int64_t AxisOfScales(bool first, bool transposed) { return first == transposed ? 1 : 0; }

  // Adds the matrix as a floating-point operand, without its scales.
  std::string AddOperand(const Node& node, const Matrix& matrix, bool first, const std::string& zero_points,
                         std::string* table) {
    const TensorRef tensor = *graph_.FindConstant(matrix.constant);
    const int64_t size = tensor.dims[static_cast<size_t>(AxisOfScales(first, matrix.transposed))];
    const TensorRef* zeros = tables_.FindReshaped(zero_points);
    const bool fits = zeros == nullptr || zeros->elements() == 1 ||
                      (zeros->elements() == static_cast<uint64_t>(size) && graph_.FindConstant(zero_points) != nullptr);
    if (!fits) {
      RefuseNode(node, "'" + zero_points + "' does not have one number for each " + (first ? "row" : "column") +
                           " of '" + matrix.constant + "'");
    }
    *table = tables_.AddMatrix(node, tensor, zero_points);
    if (!matrix.transposed) return *table;
    const std::string transposed = graph_.FreshName(node.outputs[0] + "/transposed");
    editor_.Insert({"Transpose", node.name, {*table}, {transposed}, {}});
    return transposed;
  }

  // Requires that the product subtracts the zero point with which its hidden states were rounded.
  void CheckZeroPoint(const Node& product, const Rounded& rounded, const std::string& zero_point) const {
    if (SameZeroPoints(graph_, zero_point, rounded.zero_point)) return;
    RefuseNode(product, "its zero point differs from the zero point of its rounded hidden states");
  }

  void VisitMatMulInteger(const Node& node) {
    std::string values[2];
    Rounded result;
    result.product = node.Describe();
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const std::string& zero_point = node.Input(2 + i);
      if (const Rounded* rounded = FindRounded(node.Input(i))) {
        CheckZeroPoint(node, *rounded, zero_point);
        if (!rounded->matrix.empty() || !std::all_of(rounded->steps.begin(), rounded->steps.end(),
                                                     [&](const std::string& step) { return IsOneNumber(step); }))
          return;
        values[i] = rounded->value;
        result.steps.insert(result.steps.end(), rounded->steps.begin(), rounded->steps.end());
      } else if (const std::optional<Matrix> matrix = FindIntegers(node, node.Input(i));
                 matrix && result.matrix.empty()) {
        values[i] = AddOperand(node, *matrix, i == 0, zero_point, &result.matrix);
        const std::vector<int64_t>& dims = graph_.FindConstant(result.matrix)->dims;
        unscaled_[result.matrix] = {matrix->constant, i == 0, matrix->transposed, false,
                                    dims[static_cast<size_t>(AxisOfScales(i == 0, matrix->transposed))]};
      } else {
        return;
      }
    }
    if (result.steps.empty())
      RefuseNode(node, "its hidden states are not rounded by DynamicQuantizeLinear or QuantizeLinear");
    editor_.Replace({"MatMul", "", {values[0], values[1]}, {}, {}});
    SetInPlace(node.outputs[0], result);
    understood_.insert(node.outputs[0]);
  }

  // The factors of a value: names of constants, and of values that are not products. Empty if there are too many.
  std::vector<std::string> FactorsOf(const std::string& value) const {
    static const std::set<std::string> kPassing = {"Unsqueeze", "Squeeze", "Identity", "Flatten"};
    std::vector<std::string> factors, left = {value};
    for (size_t steps = 0; !left.empty(); ++steps) {
      if (steps == kMaxFactors) return {};
      const std::string factor = left.back();
      left.pop_back();
      const Node* producer = graph_.FindConstant(factor) != nullptr ? nullptr : graph_.FindProducer(factor);
      if (producer != nullptr && producer->op == "Mul" && producer->inputs.size() == 2) {
        left.insert(left.end(), {producer->inputs[1], producer->inputs[0]});
      } else if (producer != nullptr && kPassing.count(producer->op) > 0 &&
                 graph_.FindConstant(producer->Input(0)) == nullptr) {
        left.push_back(producer->Input(0));
      } else {
        factors.push_back(factor);
      }
    }
    return factors;
  }

  // A product of integers, multiplied by the steps of its rounding and the scales of its matrix in any order.
  void VisitMul(const Node& node) {
    if (node.inputs.size() != 2) return;
    for (const size_t i : {size_t{0}, size_t{1}}) {
      const Rounded* found = FindRounded(node.inputs[i]);
      if (found == nullptr || in_place_.count(node.inputs[i]) == 0 || !found->zero_point.empty()) continue;
      Rounded rounded = *found;
      std::vector<std::string> constants;
      const std::vector<std::string> factors = FactorsOf(node.inputs[1 - i]);
      if (factors.empty()) RefuseUnscaled(rounded);
      for (const std::string& factor : factors) {
        const auto step = std::find_if(rounded.steps.begin(), rounded.steps.end(),
                                       [&](const std::string& name) { return SameNumbers(graph_, name, factor); });
        if (step != rounded.steps.end()) {
          rounded.steps.erase(step);
        } else if (tables_.FindReshaped(factor) != nullptr) {
          constants.push_back(factor);
        } else {
          RefuseUnscaled(rounded);
        }
      }
      if (!rounded.matrix.empty() && !constants.empty()) SetScales(node, &rounded, &constants);
      std::string value = rounded.value;
      for (const std::string& constant : constants) {
        const std::string product = graph_.FreshName(node.outputs[0] + "/scaled");
        editor_.Insert({"Mul", node.name, {value, constant}, {product}, {}});
        value = product;
      }
      editor_.ReplaceByValue(value);
      understood_.insert(node.outputs[0]);
      if (!rounded.steps.empty() || !rounded.matrix.empty()) SetInPlace(node.outputs[0], rounded);
      return;
    }
  }

  // The constant with the most numbers holds the scales of the matrix.
  void SetScales(const Node& node, Rounded* rounded, std::vector<std::string>* constants) {
    const auto elements = [this](const std::string& name) { return tables_.FindReshaped(name)->elements(); };
    const auto scales =
        std::max_element(constants->begin(), constants->end(),
                         [&](const std::string& a, const std::string& b) { return elements(a) < elements(b); });
    const Unscaled& matrix = unscaled_.at(rounded->matrix);
    CheckAlong(node, *scales, matrix.integers, matrix.first, matrix.size, matrix.moved);
    const TensorRef& earlier = graph_.FindConstant(rounded->matrix)->quantisation->scales;
    if (earlier.length != 0 && !SameNumbers(earlier, *tables_.FindReshaped(*scales))) {
      RefuseNode(node, "its product is scaled in two different ways");
    }
    tables_.SetScales(node, rounded->matrix, *scales, AxisOfScales(matrix.first, matrix.transposed));
    rounded->matrix.clear();
    constants->erase(scales);
  }

  [[noreturn]] static void RefuseUnscaled(const Rounded& rounded) {
    throw ConvertError(rounded.product +
                       ": its product is not scaled by the scales of DynamicQuantizeLinear and of a constant");
  }

  // A product of two operands, each with scales, plus a bias. One operand is a matrix of integers.
  bool VisitProduct(const Node& node, const IntegerNames& a, const IntegerNames& b, const std::string& bias) {
    const std::optional<Matrix> first = FindIntegers(node, a.values), second = FindIntegers(node, b.values);
    if (first.has_value() == second.has_value()) return false;
    const IntegerNames &names = first ? a : b, &others = first ? b : a;
    std::string hidden = others.values;
    if (!others.scales.empty()) {
      const Rounded* rounded = FindRounded(hidden);
      if (rounded == nullptr) return false;
      if (rounded->steps.size() != 1 || !SameNumbers(graph_, others.scales, rounded->steps[0]) ||
          !IsOneNumber(others.scales)) {
        RefuseNode(node, "its scale differs from the scale of its rounded hidden states");
      }
      CheckZeroPoint(node, *rounded, others.zero_points);
      hidden = rounded->value;
    }
    std::string table;
    const bool is_first = first.has_value();
    const Matrix& matrix = first ? *first : *second;
    const std::string operand = AddOperand(node, matrix, is_first, names.zero_points, &table);
    const int64_t axis = AxisOfScales(is_first, matrix.transposed);
    const int64_t size = graph_.FindConstant(table)->dims[static_cast<size_t>(axis)];
    const TensorRef& scales = tables_.Require(node, names.scales, "scales");
    if (scales.dims.size() != 1 || scales.elements() != static_cast<uint64_t>(size))
      CheckAlong(node, names.scales, matrix.constant, is_first, size, false);
    tables_.SetScales(node, table, names.scales, axis);
    Node product{"MatMul", "", {hidden, operand}, {}, {}};
    if (is_first) std::swap(product.inputs[0], product.inputs[1]);
    editor_.ReplaceByProduct(std::move(product), bias);
    understood_.insert(node.outputs[0]);
    return true;
  }

  // Refuses integers, and products without their scales, that are left in the graph.
  void CheckScaled() const {
    for (const auto& [name, rounded] : rounded_) {
      if (!rounded.matrix.empty() && graph_.FindConstant(rounded.matrix)->quantisation->scales.length == 0)
        RefuseUnscaled(rounded);
    }
    for (const std::string& result : graph_.results) {
      if (in_place_.count(result) > 0) RefuseUnscaled(rounded_.at(result));
    }
    for (const Node& node : graph_.nodes) {
      if (node.op == "Shape" || node.outputs.empty() || understood_.count(node.outputs[0]) > 0) continue;
      for (const std::string& input : node.inputs) {
        if (in_place_.count(input) > 0) RefuseNode(node, "computes with integers in an unsupported way");
      }
    }
  }

  Graph graph_;
  QuantisedTables tables_;
  NodeEditor editor_;
  std::map<std::string, Rounded> rounded_;    // by the names of integers
  std::map<std::string, Unscaled> unscaled_;  // by the names of matrices
  std::set<std::string> in_place_;            // values of integers that now hold floating-point numbers
  std::set<std::string> understood_;          // outputs of nodes that support such values
  std::set<std::string> fixed_;               // values computed only from constants
};

}  // namespace

Graph DequantiseProducts(Graph graph) { return ProductDequantisation(std::move(graph)).Run(); }

Graph Dequantise(Graph graph) { return DequantiseProducts(DequantiseTables(std::move(graph))); }

}  // namespace tied::converter
