#include "converter/graph/shapes.h"

#include <algorithm>
#include <climits>

#include "base/error.h"
#include "converter/graph/products.h"
#include "converter/graph/symbolic_ints.h"
#include "schema/checked_math.h"

namespace tied::converter {

namespace {

using Ints = SymbolicShape;

// Limits for hostile models in which each node doubles its input.
constexpr uint64_t kMaxContents = 64;
constexpr size_t kMaxRank = 64;

// The numbers of an argument that is an attribute in older opsets and an input in newer ones.
std::optional<std::vector<int64_t>> IntsArgument(const Node& node, size_t input, const char* attribute,
                                                 const Shapes& shapes) {
  const auto found = node.attributes.find(attribute);
  if (found != node.attributes.end()) return found->second.ints;
  const auto contents = shapes.contents.find(node.Input(input));
  if (node.Input(input).empty() || contents == shapes.contents.end()) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const SymbolicInt& element : contents->second) {
    if (element.kind != SymbolicInt::Kind::kConstant) return std::nullopt;
    numbers.push_back(element.value);
  }
  return numbers;
}

// The dimension along which a node works; nullopt if it does not exist.
std::optional<size_t> AxisOf(const Node& node, int64_t otherwise, size_t rank) {
  const int64_t given = node.Int("axis", otherwise);
  const int64_t axis = given < 0 ? given + static_cast<int64_t>(rank) : given;
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) return std::nullopt;
  return static_cast<size_t>(axis);
}

class Inference {
 public:
  explicit Inference(const Graph& graph) : graph_(graph) {}

  Shapes Run() {
    for (const ValueInfo& input : graph_.inputs) {
      Ints& dims = shapes_.dims[input.name];
      for (const ValueInfo::Dim& dim : input.dims) {
        const auto index = static_cast<int64_t>(dims.size());
        dims.push_back(dim.size >= 0 ? SymbolicInt::Constant(dim.size) : SymbolicInt::InputDim(input.name, index));
      }
    }
    for (const auto& [name, tensor] : graph_.constants) AddConstant(name, tensor);
    for (const Node& node : graph_.nodes) Visit(node);
    return std::move(shapes_);
  }

 private:
  void AddConstant(const std::string& name, const TensorRef& tensor) {
    Ints dims;
    for (const int64_t dim : tensor.dims) dims.push_back(SymbolicInt::Constant(dim));
    Set(name, std::move(dims));
    if (!IsSmallIntegers(tensor)) return;
    Ints contents;
    for (const int64_t value : tensor.ReadInts()) contents.push_back(SymbolicInt::Constant(value));
    SetContents(name, std::move(contents));
  }

  static bool IsSmallIntegers(const TensorRef& tensor) {
    const bool integers = tensor.type == ElementType::kInt64 || tensor.type == ElementType::kInt32;
    return integers && tensor.elements() <= kMaxContents;
  }

  const Ints* Dims(const Node& node, size_t input) const { return shapes_.Find(node.Input(input)); }

  const Ints* Contents(const Node& node, size_t input) const {
    const auto found = shapes_.contents.find(node.Input(input));
    return found == shapes_.contents.end() ? nullptr : &found->second;
  }

  void Visit(const Node& node) {
    if (node.outputs.empty()) return;
    const std::string& out = node.outputs[0];
    if (node.op == "Identity" || node.op == "Cast" || node.op == "Dropout" || node.op == "Not" ||
        node.op == "LogSoftmax" || node.op == "Tanh") {
      return Copy(node, out);
    }
    if (node.op == "Shape") return Shape(node, out);
    if (node.op == "Gather") return Gather(node, out);
    if (node.op == "Concat") return Concat(node, out);
    if (node.op == "Slice") return Slice(node, out);
    if (node.op == "Squeeze") return Squeeze(node, out);
    if (node.op == "Unsqueeze") return Unsqueeze(node, out);
    if (node.op == "Flatten") return Flatten(node, out);
    if (node.op == "Reshape") return Reshape(node, out);
    if (node.op == "Transpose") return Transpose(node, out);
    if (node.op == "Expand") return Expand(node, out);
    if (node.op == "ConstantOfShape") return ConstantOfShape(node, out);
    if (IsProduct(node)) return Product(node, out);
    if (IsElementwise(node)) return Elementwise(node, out);
    if (node.op == "ArgMax") return ArgMax(node, out);
    if (node.op == "TopK") return TopK(node);
  }

  void Set(const std::string& out, Ints dims) {
    if (!out.empty() && dims.size() <= kMaxRank) shapes_.dims[out] = std::move(dims);
  }

  void SetContents(const std::string& out, Ints contents) {
    if (!out.empty() && contents.size() <= kMaxContents) shapes_.contents[out] = std::move(contents);
  }

  void Copy(const Node& node, const std::string& out) {
    if (const Ints* dims = Dims(node, 0)) Set(out, Ints(*dims));
    const Ints* contents = Contents(node, 0);
    if (contents == nullptr || (node.op == "Cast" && !KeepsNumbers(*contents, node.Int("to", 0)))) return;
    SetContents(out, Ints(*contents));
  }

  // Assumes that dimensions of inputs fit in int32.
  static bool KeepsNumbers(const Ints& contents, int64_t to) {
    if (to == static_cast<int64_t>(ElementType::kInt64)) return true;
    return to == static_cast<int64_t>(ElementType::kInt32) &&
           std::all_of(contents.begin(), contents.end(), [](const SymbolicInt& number) {
             return number.kind != SymbolicInt::Kind::kConstant ||
                    (number.value >= INT32_MIN && number.value <= INT32_MAX);
           });
  }

  void Shape(const Node& node, const std::string& out) {
    const Ints* dims = Dims(node, 0);
    if (dims == nullptr) return;
    const auto rank = static_cast<int64_t>(dims->size());
    const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
    const int64_t start = clamp(node.Int("start", 0));
    const int64_t end = std::max(start, clamp(node.Int("end", rank)));
    Ints contents(dims->begin() + start, dims->begin() + end);
    Set(out, {SymbolicInt::Constant(end - start)});
    SetContents(out, std::move(contents));
  }

  void Gather(const Node& node, const std::string& out) {
    const Ints* data = Dims(node, 0);
    const Ints* indices = Dims(node, 1);
    if (data == nullptr || indices == nullptr) return;
    const auto axis = AxisOf(node, 0, data->size());
    if (!axis) return;
    const auto at = data->begin() + static_cast<std::ptrdiff_t>(*axis);
    Ints dims(data->begin(), at);
    dims.insert(dims.end(), indices->begin(), indices->end());
    dims.insert(dims.end(), at + 1, data->end());
    Set(out, std::move(dims));
    const Ints* contents = Contents(node, 0);
    const Ints* picks = Contents(node, 1);
    if (contents == nullptr || picks == nullptr || data->size() != 1) return;
    Ints picked;
    for (const SymbolicInt& pick : *picks) {
      const auto size = static_cast<int64_t>(contents->size());
      const int64_t i = pick.value < 0 ? pick.value + size : pick.value;
      if (pick.kind != SymbolicInt::Kind::kConstant || i < 0 || i >= size) return;
      picked.push_back((*contents)[static_cast<size_t>(i)]);
    }
    SetContents(out, std::move(picked));
  }

  void Concat(const Node& node, const std::string& out) {
    Ints joined;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Ints* contents = Contents(node, i);
      const Ints* dims = Dims(node, i);
      if (contents == nullptr || dims == nullptr || dims->size() != 1) return;
      joined.insert(joined.end(), contents->begin(), contents->end());
      if (joined.size() > kMaxContents) return;
    }
    Set(out, {SymbolicInt::Constant(static_cast<int64_t>(joined.size()))});
    SetContents(out, std::move(joined));
  }

  void Slice(const Node& node, const std::string& out) {
    const Ints* dims = Dims(node, 0);
    if (dims == nullptr || dims->size() != 1) return;
    const Ints* contents = Contents(node, 0);
    const auto starts = IntsArgument(node, 1, "starts", shapes_);
    const auto ends = IntsArgument(node, 2, "ends", shapes_);
    const auto steps = IntsArgument(node, 4, "steps", shapes_);
    if (contents == nullptr || !starts || !ends || starts->size() != 1 || ends->size() != 1) return;
    if (steps && (steps->size() != 1 || (*steps)[0] != 1)) return;
    const auto size = static_cast<int64_t>(contents->size());
    const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
    const int64_t start = clamp((*starts)[0]);
    const int64_t end = std::max(start, clamp((*ends)[0]));
    Ints sliced(contents->begin() + start, contents->begin() + end);
    Set(out, {SymbolicInt::Constant(end - start)});
    SetContents(out, std::move(sliced));
  }

  void Squeeze(const Node& node, const std::string& out) {
    if (const Ints* contents = Contents(node, 0)) SetContents(out, Ints(*contents));
    const Ints* dims = Dims(node, 0);
    if (dims == nullptr) return;
    const auto axes = IntsArgument(node, 1, "axes", shapes_);
    if (!axes && !node.Input(1).empty()) return;
    // Without axes, all dimensions that are 1 at run time are removed.
    if (!axes && std::any_of(dims->begin(), dims->end(),
                             [](const SymbolicInt& dim) { return dim.kind != SymbolicInt::Kind::kConstant; })) {
      return;
    }
    Ints kept;
    for (size_t i = 0; i < dims->size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      const bool named =
          axes && (std::count(axes->begin(), axes->end(), index) > 0 ||
                   std::count(axes->begin(), axes->end(), index - static_cast<int64_t>(dims->size())) > 0);
      if (axes ? !named : !(*dims)[i].IsConstant(1)) kept.push_back((*dims)[i]);
    }
    Set(out, std::move(kept));
  }

  void Unsqueeze(const Node& node, const std::string& out) {
    if (const Ints* contents = Contents(node, 0)) SetContents(out, Ints(*contents));
    const Ints* dims = Dims(node, 0);
    const auto axes = IntsArgument(node, 1, "axes", shapes_);
    if (dims == nullptr || !axes || axes->size() > kMaxRank) return;
    const auto rank = static_cast<int64_t>(dims->size() + axes->size());
    Ints widened;
    size_t next = 0;
    for (int64_t i = 0; i < rank; ++i) {
      const bool named =
          std::count(axes->begin(), axes->end(), i) + std::count(axes->begin(), axes->end(), i - rank) > 0;
      if (!named && next == dims->size()) return;
      widened.push_back(named ? SymbolicInt::Constant(1) : (*dims)[next++]);
    }
    Set(out, std::move(widened));
  }

  void Flatten(const Node& node, const std::string& out) {
    const Ints* dims = Dims(node, 0);
    if (dims == nullptr) return;
    const auto rank = static_cast<int64_t>(dims->size());
    int64_t axis = node.Int("axis", 1);
    if (axis < 0) axis += rank;
    if (axis < 0 || axis > rank) return;
    Set(out, {Multiplied(dims->begin(), dims->begin() + axis), Multiplied(dims->begin() + axis, dims->end())});
  }

  void Reshape(const Node& node, const std::string& out) {
    const Ints* dims = Dims(node, 0);
    const Ints* wanted = Contents(node, 1);
    if (wanted == nullptr) return;
    Ints result = *wanted;
    size_t inferred = result.size();
    for (size_t i = 0; i < result.size(); ++i) {
      if (result[i].IsConstant(0) && node.Int("allowzero", 0) == 0) {
        result[i] = dims != nullptr && i < dims->size() ? (*dims)[i] : SymbolicInt{};
      }
      if (result[i].IsConstant(-1)) inferred = i;
    }
    if (inferred < result.size()) result[inferred] = Inferred(dims, result, inferred);
    Set(out, std::move(result));
  }

  // The dimension for -1: the product of the input's dimensions divided by the other dimensions of the result.
  static SymbolicInt Inferred(const Ints* dims, const Ints& result, size_t inferred) {
    if (dims == nullptr) return {};
    Ints left = *dims;
    int64_t divisor = 1;
    for (size_t i = 0; i < result.size(); ++i) {
      if (i == inferred) continue;
      const auto same = std::find(left.begin(), left.end(), result[i]);
      if (same != left.end()) {
        left.erase(same);
      } else if (result[i].kind != SymbolicInt::Kind::kConstant || result[i].value <= 0 ||
                 !CheckedMultiply(divisor, result[i].value, &divisor)) {
        return {};
      }
    }
    const SymbolicInt product = Multiplied(left.begin(), left.end());
    if (divisor == 1) return product;
    const bool divides = product.kind == SymbolicInt::Kind::kConstant && product.value % divisor == 0;
    return divides ? SymbolicInt::Constant(product.value / divisor) : SymbolicInt{};
  }

  void Transpose(const Node& node, const std::string& out) {
    const Ints* dims = Dims(node, 0);
    if (dims == nullptr) return;
    const auto found = node.attributes.find("perm");
    Ints permuted(dims->rbegin(), dims->rend());
    if (found != node.attributes.end()) {
      const std::vector<int64_t>& perm = found->second.ints;
      if (perm.size() != dims->size())
        throw ConvertError(node.Describe() + ": perm does not fit the rank of its input");
      for (size_t i = 0; i < perm.size(); ++i) {
        if (perm[i] < 0 || perm[i] >= static_cast<int64_t>(dims->size())) {
          throw ConvertError(node.Describe() + ": perm names a dimension that does not exist");
        }
        permuted[i] = (*dims)[static_cast<size_t>(perm[i])];
      }
    }
    Set(out, std::move(permuted));
  }

  void Product(const Node& node, const std::string& out) {
    const Ints* a = Dims(node, 0);
    const Ints* b = Dims(node, 1);
    if (a == nullptr || b == nullptr) return;
    const std::optional<ProductDims> letters = DimsOfProduct(node, a->size(), b->size());
    if (!letters) return;
    Ints dims;
    for (const char letter : letters->result) {
      const size_t at_a = letters->a.find(letter), at_b = letters->b.find(letter);
      const bool from_b = at_a == std::string::npos || (at_b != std::string::npos && (*a)[at_a].IsConstant(1));
      dims.push_back(from_b ? (*b)[at_b] : (*a)[at_a]);
    }
    Set(out, std::move(dims));
  }

  void Elementwise(const Node& node, const std::string& out) {
    std::vector<const Ints*> contents;
    std::optional<Ints> dims = Ints{};
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Ints* input = Dims(node, i);
      if (dims) dims = input == nullptr ? std::nullopt : WithoutEnlarging(*dims, *input);
      contents.push_back(Contents(node, i));
    }
    if (dims) Set(out, std::move(*dims));
    if (std::count(contents.begin(), contents.end(), nullptr) > 0) return;
    if (std::optional<Ints> computed = ComputeContents(node, contents)) SetContents(out, std::move(*computed));
  }

  // The broadcast shape if one operand has it already, as when adding a bias or a number.
  static std::optional<Ints> WithoutEnlarging(const Ints& a, const Ints& b) {
    if (Fits(b, a)) return a;
    return Fits(a, b) ? std::optional(b) : std::nullopt;
  }

  static bool Fits(const Ints& part, const Ints& whole) {
    return part.size() <= whole.size() &&
           std::equal(part.rbegin(), part.rend(), whole.rbegin(),
                      [](const SymbolicInt& x, const SymbolicInt& y) { return x.IsConstant(1) || x == y; });
  }

  void Expand(const Node& node, const std::string& out) {
    const Ints* dims = Dims(node, 0);
    const Ints* wanted = Contents(node, 1);
    if (dims == nullptr || wanted == nullptr) return;
    std::optional<Ints> expanded = BroadcastDims(*dims, *wanted);
    if (!expanded) return;
    const Ints* contents = Contents(node, 0);
    if (contents != nullptr && contents->size() == 1) Fill(out, *expanded, contents->front());
    Set(out, std::move(*expanded));
  }

  void ConstantOfShape(const Node& node, const std::string& out) {
    const Ints* dims = Contents(node, 0);
    if (dims == nullptr) return;
    const auto value = node.attributes.find("value");
    if (value != node.attributes.end() && value->second.tensor && IsSmallIntegers(*value->second.tensor)) {
      const std::vector<int64_t> numbers = value->second.tensor->ReadInts();
      if (numbers.size() == 1) Fill(out, *dims, SymbolicInt::Constant(numbers[0]));
    }
    Set(out, Ints(*dims));
  }

  void Fill(const std::string& out, const Ints& dims, const SymbolicInt& number) {
    const SymbolicInt count = Multiplied(dims.begin(), dims.end());
    if (count.kind != SymbolicInt::Kind::kConstant || count.value < 0 ||
        static_cast<uint64_t>(count.value) > kMaxContents) {
      return;
    }
    SetContents(out, Ints(static_cast<size_t>(count.value), number));
  }

  void ArgMax(const Node& node, const std::string& out) {
    const Ints* dims = Dims(node, 0);
    if (dims == nullptr) return;
    const auto axis = AxisOf(node, 0, dims->size());
    if (!axis) return;
    Ints reduced = *dims;
    if (node.Int("keepdims", 1) == 1) {
      reduced[*axis] = SymbolicInt::Constant(1);
    } else {
      reduced.erase(reduced.begin() + static_cast<std::ptrdiff_t>(*axis));
    }
    Set(out, std::move(reduced));
  }

  void TopK(const Node& node) {
    const Ints* dims = Dims(node, 0);
    const Ints* count = Contents(node, 1);
    if (dims == nullptr) return;
    const auto axis = AxisOf(node, -1, dims->size());
    if (!axis) return;
    Ints selected = *dims;
    selected[*axis] = count != nullptr && count->size() == 1 ? (*count)[0] : SymbolicInt{};
    for (const std::string& out : node.outputs) Set(out, Ints(selected));
  }

  const Graph& graph_;
  Shapes shapes_;
};

}  // namespace

const SymbolicShape* Shapes::Find(const std::string& value) const {
  const auto found = dims.find(value);
  return found == dims.end() ? nullptr : &found->second;
}

Shapes InferShapes(const Graph& graph) { return Inference(graph).Run(); }

}  // namespace tied::converter
