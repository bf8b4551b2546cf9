#include "converter/check/evaluator.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.h"
#include "converter/check/dequantised.h"

namespace tied::converter {

namespace {

// Evaluates one graph, with those around it for the names that a branch captures.
class Evaluation {
 public:
  Evaluation(const Graph& graph, const Evaluation* outer, Arithmetic arithmetic, const std::vector<bool>& kept)
      : graph_(graph), outer_(outer), arithmetic_(arithmetic), kept_(kept) {
    for (const Node& node : graph.nodes) {
      for (const std::string& output : node.outputs) producers_[output] = &node;
    }
  }

  void Set(const std::string& name, Array value) { values_[name] = std::move(value); }

  const Array& Get(const std::string& name) const {
    const auto found = values_.find(name);
    if (found != values_.end()) return found->second;
    if (const TensorRef* constant = graph_.FindConstant(name)) return values_[name] = Array::Load(*constant);
    const auto producer = producers_.find(name);
    if (producer != producers_.end()) {
      Make(producer->second);
      if (values_.count(name) == 0) RefuseOutput(*producer->second, name);
      return values_.at(name);
    }
    if (outer_ == nullptr) throw ConvertError("value '" + name + "' is made by nothing");
    return outer_->Get(name);
  }

 private:
  using Operation = Array (Evaluation::*)(const Node&) const;

  [[noreturn]] static void RefuseOutput(const Node& node, const std::string& output) {
    throw ConvertError(node.Describe() + ": the reference evaluation does not make its output '" + output + "'");
  }

  // Runs a node after those that it needs. Not by recursion, which long chains of nodes would take too deep.
  void Make(const Node* last) const {
    std::vector<const Node*> path = {last};
    const Node* ran = nullptr;
    while (!path.empty()) {
      const Node& node = *path.back();
      const auto missing = std::find_if(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
        return !input.empty() && values_.count(input) == 0 && producers_.count(input) > 0;
      });
      if (missing == node.inputs.end()) {
        Run(node);
        ran = &node;
        path.pop_back();
        continue;
      }
      path.push_back(producers_.at(*missing));
      if (path.back() == ran) RefuseOutput(*ran, *missing);
    }
  }

  void Run(const Node& node) const {
    if (node.op == "If") return RunIf(node);
    if (node.op == "ArgMax" || node.op == "TopK") return RunSelection(node);
    if (node.op == "DynamicQuantizeLinear") return RunDynamicQuantizeLinear(node);
    static const std::map<std::string, Operation> kOperations = {
        {"Constant", &Evaluation::Constant},
        {"Identity", &Evaluation::Identity},
        {"Dropout", &Evaluation::Identity},
        {"Cast", &Evaluation::Identity},
        {"Not", &Evaluation::Not},
        {"Shape", &Evaluation::Shape},
        {"Gather", &Evaluation::Gather},
        {"Concat", &Evaluation::Concat},
        {"Slice", &Evaluation::Slice},
        {"Squeeze", &Evaluation::Squeeze},
        {"Unsqueeze", &Evaluation::Unsqueeze},
        {"Flatten", &Evaluation::Flatten},
        {"Reshape", &Evaluation::Reshape},
        {"Transpose", &Evaluation::Transpose},
        {"MatMul", &Evaluation::MatMul},
        {"com.microsoft.FusedMatMul", &Evaluation::MatMul},
        {"Gemm", &Evaluation::Gemm},
        {"Add", &Evaluation::Add},
        {"Mul", &Evaluation::Mul},
        {"LogSoftmax", &Evaluation::LogSoftmax},
        {"QuantizeLinear", &Evaluation::QuantizeLinear},
        {"DequantizeLinear", &Evaluation::DequantizeLinear},
        {"MatMulInteger", &Evaluation::MatMulInteger},
        {"com.microsoft.MatMulIntegerToFloat", &Evaluation::MatMulIntegerToFloat},
        {"com.microsoft.DynamicQuantizeMatMul", &Evaluation::DynamicQuantizeMatMul},
        {"com.microsoft.MatMulNBits", &Evaluation::MatMulNBits},
        {"com.microsoft.GatherBlockQuantized", &Evaluation::GatherBlockQuantized}};
    const auto found = kOperations.find(node.op);
    if (found == kOperations.end()) throw ConvertError(node.Describe() + ": the reference evaluation does not know it");
    values_[node.outputs[0]] = (this->*found->second)(node);
  }

  void RunIf(const Node& node) const {
    const bool then = Input(node, 0).Int(0) != 0;
    const Graph& branch = *node.attributes.at(then ? "then_branch" : "else_branch").graph;
    const Evaluation evaluation(branch, this, arithmetic_, kept_);
    for (size_t i = 0; i < node.outputs.size(); ++i) values_[node.outputs[i]] = evaluation.Get(branch.results[i]);
  }

  // Along the last dimension; ties to the lower position.
  void RunSelection(const Node& node) const {
    const bool argmax = node.op == "ArgMax";
    if (!argmax && node.outputs.size() < 2) throw ConvertError(node.Describe() + ": has one output");
    const Array& array = Input(node, 0);
    RequireLastAxis(node, array, argmax ? 0 : -1);
    const int64_t width = array.dims.back();
    const int64_t k = argmax ? 1 : Input(node, 1).Int(0);
    if (k < 0 || k > width) throw ConvertError(node.Describe() + ": k is not possible");
    std::vector<double> values;
    std::vector<int64_t> ids;
    std::vector<int64_t> order(static_cast<size_t>(width));
    for (int64_t first = 0; first < array.size(); first += width) {
      std::iota(order.begin(), order.end(), 0);
      std::stable_sort(order.begin(), order.end(),
                       [&](int64_t i, int64_t j) { return Logit(array, first + i) > Logit(array, first + j); });
      for (int64_t i = 0; i < k; ++i) {
        const bool largest = arithmetic_ == Arithmetic::kMagnitudes;
        ids.push_back(order[static_cast<size_t>(i)]);
        values.push_back(Logit(array, first + order[static_cast<size_t>(largest ? 0 : i)]));
      }
    }
    std::vector<int64_t> dims = array.dims;
    dims.back() = k;
    if (argmax && node.Int("keepdims", 1) == 0) dims.pop_back();
    Array found = Array::OfInts(dims, std::move(ids));
    found.ranked = std::make_shared<const Array>(array);
    values_[node.outputs[argmax ? 0 : 1]] = found;
    if (!argmax) values_[node.outputs[0]] = Array::OfDoubles(dims, std::move(values));
  }

  static void RequireLastAxis(const Node& node, const Array& array, int64_t default_axis) {
    if (AxisOf(node, node.Int("axis", default_axis), array.dims.size()) + 1 == array.dims.size()) return;
    throw ConvertError(node.Describe() + ": the reference evaluation knows the last axis only");
  }

  // A dimension below `rank`, which may be counted from the end.
  static size_t AxisOf(const Node& node, int64_t axis, size_t rank) {
    const auto count = static_cast<int64_t>(rank);
    if (axis < -count || axis >= count) throw ConvertError(node.Describe() + ": has no axis " + std::to_string(axis));
    return static_cast<size_t>(axis < 0 ? axis + count : axis);
  }

  // The magnitude of a difference x - log_z is that of x, of the largest x, and of the logarithm of the count.
  Array LogSoftmax(const Node& node) const {
    const Array& array = Input(node, 0);
    RequireLastAxis(node, array, -1);
    const int64_t width = array.dims.back();
    std::vector<double> values(static_cast<size_t>(array.size()));
    for (int64_t first = 0; first < array.size(); first += width) {
      double max = Logit(array, first);
      for (int64_t i = 0; i < width; ++i) max = std::max(max, Logit(array, first + i));
      double sum = 0;
      for (int64_t i = 0; i < width; ++i) sum += std::exp(Logit(array, first + i) - max);
      for (int64_t i = 0; i < width; ++i) {
        const double x = Logit(array, first + i);
        const bool magnitude = arithmetic_ == Arithmetic::kMagnitudes;
        values[static_cast<size_t>(first + i)] =
            magnitude ? x + max + std::log(static_cast<double>(width)) : x - max - std::log(sum);
      }
    }
    return Array::OfDoubles(array.dims, std::move(values));
  }

  const Array& Input(const Node& node, size_t i) const {
    if (node.Input(i).empty()) throw ConvertError(node.Describe() + ": lacks its input " + std::to_string(i));
    return Get(node.Input(i));
  }

  std::vector<int64_t> Ints(const Node& node, size_t input, const char* attribute) const {
    const auto found = node.attributes.find(attribute);
    if (found != node.attributes.end()) return found->second.ints;
    std::vector<int64_t> ints;
    if (node.Input(input).empty()) return ints;
    const Array& array = Input(node, input);
    for (int64_t i = 0; i < array.size(); ++i) ints.push_back(array.Int(i));
    return ints;
  }

  double Number(const Array& array, int64_t position) const {
    const double value = array.Float(position);
    return arithmetic_ == Arithmetic::kMagnitudes ? std::fabs(value) : value;
  }

  double Logit(const Array& array, int64_t position) const {
    const auto width = static_cast<size_t>(array.dims.back());
    if (width != kept_.size() || kept_[static_cast<size_t>(position) % width]) return Number(array, position);
    return arithmetic_ == Arithmetic::kMagnitudes ? 0 : -INFINITY;
  }

  Array Constant(const Node& node) const {
    Graph holder;
    const auto& [name, value] = *node.attributes.begin();
    if (value.tensor) return Array::Load(*value.tensor);
    if (value.i) return Array::OfInts({}, {*value.i});
    if (value.f) return Array::OfDoubles({}, {*value.f});
    if (name == "value_ints") return Array::OfInts({static_cast<int64_t>(value.ints.size())}, value.ints);
    return Array::OfDoubles({static_cast<int64_t>(value.floats.size())}, {value.floats.begin(), value.floats.end()});
  }

  Array Identity(const Node& node) const { return Input(node, 0); }

  Array Not(const Node& node) const {
    const Array& array = Input(node, 0);
    std::vector<int64_t> values;
    for (int64_t i = 0; i < array.size(); ++i) values.push_back(array.Int(i) == 0);
    return Array::OfInts(array.dims, values);
  }

  Array Shape(const Node& node) const {
    const std::vector<int64_t>& dims = Input(node, 0).dims;
    const auto rank = static_cast<int64_t>(dims.size());
    const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
    const int64_t start = clamp(node.Int("start", 0));
    const int64_t end = std::max(start, clamp(node.Int("end", rank)));
    return Array::OfInts({end - start}, {dims.begin() + start, dims.begin() + end});
  }

  Array Gather(const Node& node) const { return Gather(node, Input(node, 0)); }

  Array Gather(const Node& node, const Array& data) const {
    const Array& indices = Input(node, 1);
    if (AxisOf(node, node.Int("axis", 0), data.dims.size()) != 0) {
      throw ConvertError(node.Describe() + ": the reference evaluation knows axis 0 only");
    }
    std::vector<int64_t> dims = indices.dims;
    dims.insert(dims.end(), data.dims.begin() + 1, data.dims.end());
    const int64_t width = Product(data.dims, 1, data.dims.size());
    std::vector<int64_t> ints;
    std::vector<double> doubles;
    for (int64_t i = 0; i < indices.size(); ++i) {
      const int64_t id = static_cast<int64_t>(AxisOf(node, indices.Int(i), static_cast<size_t>(data.dims[0])));
      for (int64_t j = 0; j < width; ++j) {
        if (data.integers) ints.push_back(data.Int(id * width + j));
        if (!data.integers) doubles.push_back(Number(data, id * width + j));
      }
    }
    return data.integers ? Array::OfInts(dims, ints) : Array::OfDoubles(dims, doubles);
  }

  Array Concat(const Node& node) const {
    std::vector<int64_t> values;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Array& array = Input(node, i);
      if (array.dims.size() != 1) throw ConvertError(node.Describe() + ": joins more than vectors");
      for (int64_t j = 0; j < array.size(); ++j) values.push_back(array.Int(j));
    }
    const auto size = static_cast<int64_t>(values.size());
    return Array::OfInts({size}, values);
  }

  Array Slice(const Node& node) const {
    const Array& array = Input(node, 0);
    const int64_t size = array.size();
    const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
    std::vector<int64_t> values;
    const std::vector<int64_t> starts = Ints(node, 1, "starts"), ends = Ints(node, 2, "ends");
    if (array.dims.size() != 1 || starts.size() != 1 || ends.size() != 1) {
      throw ConvertError(node.Describe() + ": slices more than a vector");
    }
    const std::vector<int64_t> steps = Ints(node, 4, "steps");
    if (!steps.empty() && steps[0] != 1) throw ConvertError(node.Describe() + ": has steps");
    for (int64_t i = clamp(starts[0]); i < clamp(ends[0]); ++i) values.push_back(array.Int(i));
    const auto count = static_cast<int64_t>(values.size());
    return Array::OfInts({count}, values);
  }

  Array Squeeze(const Node& node) const {
    const Array& array = Input(node, 0);
    const std::vector<int64_t> axes = Ints(node, 1, "axes");
    const auto rank = static_cast<int64_t>(array.dims.size());
    std::vector<int64_t> dims;
    for (int64_t i = 0; i < rank; ++i) {
      const bool named = std::count(axes.begin(), axes.end(), i) + std::count(axes.begin(), axes.end(), i - rank) > 0;
      if (!(axes.empty() ? array.dims[static_cast<size_t>(i)] == 1 : named))
        dims.push_back(array.dims[static_cast<size_t>(i)]);
    }
    return array.View(dims);
  }

  Array Unsqueeze(const Node& node) const {
    const Array& array = Input(node, 0);
    std::vector<int64_t> axes = Ints(node, 1, "axes");
    std::vector<int64_t> dims = array.dims;
    const size_t rank = dims.size() + axes.size();
    for (int64_t& axis : axes) axis = static_cast<int64_t>(AxisOf(node, axis, rank));
    std::sort(axes.begin(), axes.end());
    for (const int64_t axis : axes) {
      dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(AxisOf(node, axis, dims.size() + 1)), 1);
    }
    return array.View(dims);
  }

  Array Flatten(const Node& node) const {
    const Array& array = Input(node, 0);
    const auto rank = static_cast<int64_t>(array.dims.size());
    const int64_t axis = node.Int("axis", 1);
    const size_t split = axis == rank ? array.dims.size() : AxisOf(node, axis, array.dims.size());
    return array.View({Product(array.dims, 0, split), Product(array.dims, split, array.dims.size())});
  }

  Array Reshape(const Node& node) const {
    const Array& array = Input(node, 0);
    std::vector<int64_t> dims = Ints(node, 1, "shape");
    std::vector<int64_t> others;
    for (size_t i = 0; i < dims.size(); ++i) {
      if (dims[i] == 0 && node.Int("allowzero", 0) == 0) {
        dims[i] = array.dims[AxisOf(node, static_cast<int64_t>(i), array.dims.size())];
      }
      if (dims[i] != -1) others.push_back(dims[i]);
    }
    const int64_t known = Product(others, 0, others.size());
    for (int64_t& dim : dims) {
      if (dim == -1) dim = known == 0 ? 0 : array.size() / known;
    }
    if (Product(dims, 0, dims.size()) != array.size()) throw ConvertError(node.Describe() + ": does not fit its input");
    return array.View(dims);
  }

  Array Transpose(const Node& node) const {
    Array array = Input(node, 0);
    const size_t rank = array.dims.size();
    std::vector<int64_t> perm = Ints(node, 1, "perm");
    for (size_t i = 0; perm.size() < rank; ++i) perm.push_back(static_cast<int64_t>(rank - 1 - i));
    const Array original = array;
    array.row_major = false;
    for (size_t i = 0; i < rank; ++i) {
      const size_t from = AxisOf(node, perm[i], rank);
      array.dims[i] = original.dims[from];
      array.strides[i] = original.strides[from];
    }
    return array;
  }

  double At(const Array& matrix, int64_t i, int64_t j) const {
    const double value = matrix.At(i * matrix.strides[0] + j * matrix.strides[1]);
    return arithmetic_ == Arithmetic::kMagnitudes ? std::fabs(value) : value;
  }

  Array MatMul(const Node& node) const { return MatMul(node, Input(node, 0), Input(node, 1)); }

  Array MatMul(const Node& node, const Array& a, const Array& b) const {
    if (a.dims.size() < 2 || b.dims.size() < 2) throw ConvertError(node.Describe() + ": an operand is not a matrix");
    const bool transpose_b = node.Int("transB", 0) != 0;
    const auto& longer = a.dims.size() >= b.dims.size() ? a.dims : b.dims;
    std::vector<int64_t> dims(longer.begin(), longer.end() - 2);
    const int64_t batches = Product(dims, 0, dims.size());
    std::vector<double> values;
    for (int64_t batch = 0; batch < batches; ++batch) {
      const Array left = a.Matrix(a.dims.size() > 2 ? batch : 0, node.Int("transA", 0) != 0);
      const Array right = b.Matrix(b.dims.size() > 2 ? batch : 0, transpose_b);
      Multiply(node, left, right, &values);
      if (batch == 0) dims.insert(dims.end(), {left.dims[0], right.dims[1]});
    }
    return Array::OfDoubles(dims, std::move(values));
  }

  void Multiply(const Node& node, const Array& a, const Array& b, std::vector<double>* values) const {
    if (a.dims[1] != b.dims[0]) throw ConvertError(node.Describe() + ": the operands do not fit together");
    const double alpha = node.Float("alpha", 1);
    const size_t first = values->size();
    values->resize(first + static_cast<size_t>(Product({a.dims[0], b.dims[1]}, 0, 2)));
    // The larger side outermost: each of its elements is asked for once.
    std::vector<double> column(static_cast<size_t>(a.dims[1]));
    for (int64_t j = 0; j < b.dims[1]; ++j) {
      for (int64_t k = 0; k < b.dims[0]; ++k) column[static_cast<size_t>(k)] = At(b, k, j);
      for (int64_t i = 0; i < a.dims[0]; ++i) {
        double sum = 0;
        for (int64_t k = 0; k < a.dims[1]; ++k) sum += At(a, i, k) * column[static_cast<size_t>(k)];
        (*values)[first + static_cast<size_t>(i * b.dims[1] + j)] = alpha * sum;
      }
    }
  }

  Array Gemm(const Node& node) const {
    const Array product = MatMul(node);
    if (node.Input(2).empty()) return product;
    return Broadcast(product, Input(node, 2), [&](double x, double y) { return x + node.Float("beta", 1) * y; });
  }

  void RunDynamicQuantizeLinear(const Node& node) const {
    const Array x = Input(node, 0);
    const Array outputs[] = {x, Array::OfDoubles({}, {1}), Array::OfInts({}, {0})};
    for (size_t i = 0; i < std::min<size_t>(node.outputs.size(), 3); ++i) values_[node.outputs[i]] = outputs[i];
  }

  const Array* OptionalInput(const Node& node, size_t i) const {
    return node.Input(i).empty() ? nullptr : &Input(node, i);
  }

  Array QuantizeLinear(const Node& node) const {
    const Array quotient = Broadcast(Input(node, 0), Input(node, 1), std::divides<double>());
    if (node.Input(2).empty()) return quotient;
    const Array& zero = Input(node, 2);
    std::vector<double> shifted(static_cast<size_t>(quotient.size()));
    for (size_t i = 0; i < shifted.size(); ++i) shifted[i] = quotient.Float(static_cast<int64_t>(i)) + zero.Float(0);
    return Array::OfDoubles(quotient.dims, std::move(shifted));
  }

  Array DequantizeLinear(const Node& node) const {
    return Dequantised(Input(node, 0), Input(node, 1), OptionalInput(node, 2), node.Int("axis", 1),
                       node.Int("block_size", 0));
  }

  Array MatMulInteger(const Node& node) const {
    const Array one = Array::OfDoubles({}, {1});
    const Array a = Dequantised(Input(node, 0), one, OptionalInput(node, 2), -2);
    return MatMul(node, a, Dequantised(Input(node, 1), one, OptionalInput(node, 3), -1));
  }

  Array MatMulIntegerToFloat(const Node& node) const {
    const Array a = Dequantised(Input(node, 0), Input(node, 2), OptionalInput(node, 4), -2);
    return WithBias(MatMul(node, a, Dequantised(Input(node, 1), Input(node, 3), OptionalInput(node, 5), -1)), node, 6);
  }

  Array DynamicQuantizeMatMul(const Node& node) const {
    const Array weights = Dequantised(Input(node, 1), Input(node, 2), OptionalInput(node, 3), -1);
    return WithBias(MatMul(node, Input(node, 0), weights), node, 4);
  }

  Array WithBias(const Array& product, const Node& node, size_t input) const {
    if (node.Input(input).empty()) return product;
    return Broadcast(product, Input(node, input), std::plus<double>());
  }

  Array MatMulNBits(const Node& node) const {
    const Blocks blocks{node.Int("N", 0), node.Int("K", 0), node.Int("bits", 4), node.Int("block_size", 0), true};
    const Array weights = DequantisedBlocks(Input(node, 1), Input(node, 2), OptionalInput(node, 3), blocks);
    return WithBias(MatMul(node, Input(node, 0), weights.Matrix(0, /*transpose=*/true)), node, 5);
  }

  Array GatherBlockQuantized(const Node& node) const {
    const Array& packed = Input(node, 0);
    const bool elements = packed.type == ElementType::kUint4 || packed.type == ElementType::kInt4;
    const int64_t bits = elements ? 4 : node.Int("bits", 4);
    if (packed.dims.empty() || bits < 1) throw ConvertError(node.Describe() + ": has no table");
    const int64_t cols = Product({packed.dims.back(), elements ? 1 : 8 / bits}, 0, 2);
    const Blocks blocks{packed.dims[0], cols, bits, node.Int("block_size", 128), false};
    return Gather(node, DequantisedBlocks(packed, Input(node, 2), OptionalInput(node, 3), blocks));
  }

  Array Add(const Node& node) const { return Broadcast(Input(node, 0), Input(node, 1), std::plus<double>()); }
  Array Mul(const Node& node) const { return Broadcast(Input(node, 0), Input(node, 1), std::multiplies<double>()); }

  Array Broadcast(const Array& a, const Array& b, const std::function<double(double, double)>& operation) const {
    const size_t rank = std::max(a.dims.size(), b.dims.size());
    std::vector<int64_t> dims(rank);
    const auto dim = [&](const Array& x, size_t i) {
      return i + x.dims.size() < rank ? 1 : x.dims[i + x.dims.size() - rank];
    };
    for (size_t i = 0; i < rank; ++i) dims[i] = dim(a, i) == 1 ? dim(b, i) : dim(a, i);
    std::vector<double> values(static_cast<size_t>(Product(dims, 0, rank)));
    for (size_t position = 0; position < values.size(); ++position) {
      int64_t at_a = 0;
      int64_t at_b = 0;
      int64_t size_a = 1;
      int64_t size_b = 1;
      auto rest = static_cast<int64_t>(position);
      for (size_t i = rank; i-- > 0; rest /= dims[i]) {
        const int64_t index = rest % dims[i];
        if (dim(a, i) > 1) at_a += index * size_a;
        if (dim(b, i) > 1) at_b += index * size_b;
        size_a *= dim(a, i);
        size_b *= dim(b, i);
      }
      values[position] = operation(Number(a, at_a), Number(b, at_b));
    }
    return Array::OfDoubles(dims, std::move(values));
  }

  const Graph& graph_;
  std::map<std::string, const Node*> producers_;
  const Evaluation* outer_;
  const Arithmetic arithmetic_;
  const std::vector<bool>& kept_;
  mutable std::map<std::string, Array> values_;  // what has been computed so far
};

}  // namespace

std::map<std::string, Array> Evaluate(const Graph& graph, const std::map<std::string, Array>& inputs,
                                      Arithmetic arithmetic, const std::vector<bool>& kept) {
  Evaluation evaluation(graph, nullptr, arithmetic, kept);
  for (const auto& [name, value] : inputs) evaluation.Set(name, value);
  std::map<std::string, Array> outputs;
  for (size_t i = 0; i < graph.outputs.size(); ++i) outputs[graph.outputs[i].name] = evaluation.Get(graph.results[i]);
  return outputs;
}

}  // namespace tied::converter
