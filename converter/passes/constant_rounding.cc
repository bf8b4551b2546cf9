#include "converter/passes/constant_rounding.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace tied::converter {

namespace {

constexpr uint64_t kMaxNumbers = 1u << 24;

bool IsByte(ElementType type) { return type == ElementType::kInt8 || type == ElementType::kUint8; }

int64_t IntegerOf(unsigned char byte, ElementType type) {
  return type == ElementType::kInt8 ? static_cast<signed char>(byte) : byte;
}

std::optional<std::vector<int64_t>> IntegersOf(const TensorRef& tensor) {
  if (tensor.type == ElementType::kInt32) return tensor.ReadInts();
  if (!IsByte(tensor.type)) return std::nullopt;
  std::vector<int64_t> integers;
  for (const char byte : tensor.Read()) integers.push_back(IntegerOf(static_cast<unsigned char>(byte), tensor.type));
  return integers;
}

// `like` with other elements.
TensorRef WithElements(TensorRef like, ElementType type, std::string bytes) {
  like.type = type;
  like.onnx_type = static_cast<int>(type);
  like.byte_map = nullptr;
  like.SetBytes(std::move(bytes));
  return like;
}

}  // namespace

unsigned char Step::Round(float number) const {
  const bool is_signed = type == ElementType::kInt8;
  const float low = is_signed ? -128 : 0, high = is_signed ? 127 : 255;
  const float rounded = std::nearbyint(number / scale) + static_cast<float>(zero_point);
  const float clamped = rounded >= low ? std::min(rounded, high) : low;  // NaN has no integer
  return static_cast<unsigned char>(static_cast<int>(clamped));
}

std::optional<Step> StepOf(const Graph& graph, const Node& node) {
  const TensorRef *scale = graph.FindConstant(node.Input(1)), *zero_point = graph.FindConstant(node.Input(2));
  if (scale == nullptr || !IsFloat(scale->type) || scale->elements() != 1) return std::nullopt;
  Step step{scale->ReadFloats()[0], 0, ElementType::kUint8};
  if (!std::isfinite(step.scale) || step.scale <= 0 || node.Int("output_dtype", 0) != 0) return std::nullopt;
  if (node.Input(2).empty()) return step;
  if (zero_point == nullptr || !IsByte(zero_point->type) || zero_point->elements() != 1) return std::nullopt;
  step.zero_point = (*IntegersOf(*zero_point))[0];
  step.type = zero_point->type;
  return step;
}

std::optional<TensorRef> RoundedTable(const Node& node, const TensorRef& table, const Step& step) {
  if (table.quantisation == nullptr || !IsByte(table.type)) return std::nullopt;
  const Quantisation& quantisation = *table.quantisation;
  const bool one = quantisation.scales.elements() == 1 && quantisation.zero_points.length <= 1;
  if (quantisation.bits != 8 || quantisation.block != 0 || !one) return std::nullopt;
  const float scale = quantisation.scales.ReadFloats()[0];
  const bool has_zero = quantisation.zero_points.length == 1;
  const int64_t zero = has_zero ? (*IntegersOf(quantisation.zero_points))[0] : quantisation.default_zero_point;
  ByteMap map;
  bool same = table.type == step.type, all_equal = true;
  for (size_t i = 0; i < map.size(); ++i) {
    const auto byte = static_cast<unsigned char>(i);
    map[i] = step.Round(static_cast<float>(IntegerOf(byte, table.type) - zero) * scale);
    same = same && map[i] == byte;
    all_equal = all_equal && map[i] == map[0];
  }
  if (all_equal) RefuseNode(node, "rounds all numbers of the table to the same one");
  TensorRef rounded = table;
  rounded.quantisation = nullptr;
  rounded.type = step.type;
  rounded.onnx_type = static_cast<int>(step.type);
  if (same) return rounded;
  if (table.byte_map != nullptr) {
    const ByteMap second = map;
    for (size_t i = 0; i < map.size(); ++i) map[i] = second[(*table.byte_map)[i]];
  }
  rounded.byte_map = std::make_shared<const ByteMap>(map);
  return rounded;
}

std::optional<TensorRef> RoundedNumbers(const TensorRef& numbers, const Step& step) {
  if (!IsFloat(numbers.type) || numbers.dims.size() > 1 || numbers.elements() > kMaxNumbers) return std::nullopt;
  std::string bytes;
  for (const float number : numbers.ReadFloats()) bytes += static_cast<char>(step.Round(number));
  return WithElements(numbers, step.type, std::move(bytes));
}

std::optional<TensorRef> DequantisedNumbers(const Graph& graph, const TensorRef& tensor, const IntegerNames& names) {
  const TensorRef *scales = graph.FindConstant(names.scales), *zero_points = graph.FindConstant(names.zero_points);
  if (tensor.elements() > kMaxNumbers || scales == nullptr || !IsFloat(scales->type)) return std::nullopt;
  const std::optional<std::vector<int64_t>> integers = IntegersOf(tensor);
  const std::vector<float> steps = scales->ReadFloats();
  if (!integers || (steps.size() != 1 && steps.size() != integers->size())) return std::nullopt;
  int64_t zero = 0;
  if (!IsZero(graph, names.zero_points)) {
    if (zero_points == nullptr || zero_points->elements() != 1 || zero_points->type != tensor.type) return std::nullopt;
    zero = (*IntegersOf(*zero_points))[0];
  }
  std::vector<float> numbers;
  for (const int64_t integer : *integers) {
    numbers.push_back(static_cast<float>(integer - zero) * steps[steps.size() == 1 ? 0 : numbers.size()]);
  }
  return WithElements(tensor, ElementType::kFloat32,
                      {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)});
}

}  // namespace tied::converter
