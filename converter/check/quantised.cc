// Operations on quantised tensors. Activations are not rounded: the results are the ones that a quantised graph
// approximates.
#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "converter/check/dequantised.h"
#include "converter/check/operations.h"

namespace tied::converter::operations {

std::vector<Array> DynamicQuantizeLinear(const Call& call) {
  return {call.Input(0), Array::OfDoubles({}, {1}), Array::OfInts({}, {0})};
}

namespace {

// The integers to which QuantizeLinear clamps; nullopt for types other than 8 bits.
std::optional<std::pair<double, double>> RangeOf(const Call& call) {
  const ElementType type = call.Has(2) ? call.Input(2).type : ElementType::kUint8;
  if (type == ElementType::kUint8) return std::pair(0.0, 255.0);
  if (type == ElementType::kInt8) return std::pair(-128.0, 127.0);
  return std::nullopt;
}

}  // namespace

// Rounds weights. Activations stay as they are, but rounding must not make all of them equal or cut all of them off.
Array QuantizeLinear(const Call& call) {
  const Array& numbers = call.Input(0);
  const std::optional<std::pair<double, double>> range = RangeOf(call);
  const bool one = call.Input(1).size() == 1 && (!call.Has(2) || call.Input(2).size() == 1);
  const double zero = call.Has(2) ? call.Input(2).Float(0) : 0;
  if (numbers.fixed && range && one) {
    const double step = call.Input(1).Float(0);
    return Array::Computed(numbers.dims, [=](int64_t position) {
      return std::clamp(std::nearbyint(numbers.Float(position) / step) + zero, range->first, range->second);
    });
  }
  const Array quotient = Divide(call, numbers, call.Input(1));
  std::vector<double> shifted(static_cast<size_t>(quotient.size()));
  bool all_equal = true, all_cut_off = true;
  for (size_t i = 0; i < shifted.size(); ++i) {
    shifted[i] = quotient.Float(static_cast<int64_t>(i)) + zero;
    if (!range) continue;
    all_equal = all_equal && std::nearbyint(shifted[i]) == std::nearbyint(shifted[0]);
    all_cut_off = all_cut_off && (shifted[i] <= range->first || shifted[i] >= range->second);
  }
  const bool fits = !range || !one || shifted.size() < 2 || !(all_equal || all_cut_off);
  if (!fits && !call.magnitudes()) call.Refuse("rounds all numbers to the same ones: its step does not fit them");
  return Array::OfDoubles(quotient.dims, std::move(shifted));
}

Array DequantizeLinear(const Call& call) {
  return Dequantised(call.Input(0), call.Input(1), call.OptionalInput(2), call.Int("axis", 1),
                     call.Int("block_size", 0));
}

Array QLinearMatMul(const Call& call) {
  const Array a = Dequantised(call.Input(0), call.Input(1), call.OptionalInput(2), -2);
  const Array b = Dequantised(call.Input(3), call.Input(4), call.OptionalInput(5), -1);
  const Array quotient = Divide(call, Multiply(call, a, b), call.Input(6));
  return call.Has(7) ? WithBias(call, quotient, 7) : quotient;
}

Array MatMulInteger(const Call& call) {
  const Array one = Array::OfDoubles({}, {1});
  const Array a = Dequantised(call.Input(0), one, call.OptionalInput(2), -2);
  return Multiply(call, a, Dequantised(call.Input(1), one, call.OptionalInput(3), -1));
}

Array MatMulIntegerToFloat(const Call& call) {
  const Array a = Dequantised(call.Input(0), call.Input(2), call.OptionalInput(4), -2);
  const Array b = Dequantised(call.Input(1), call.Input(3), call.OptionalInput(5), -1);
  return WithBias(call, Multiply(call, a, b), 6);
}

Array DynamicQuantizeMatMul(const Call& call) {
  const Array weights = Dequantised(call.Input(1), call.Input(2), call.OptionalInput(3), -1);
  return WithBias(call, Multiply(call, call.Input(0), weights), 4);
}

Array MatMulNBits(const Call& call) {
  const Blocks blocks{call.Int("N", 0), call.Int("K", 0), call.Int("bits", 4), call.Int("block_size", 0), true};
  const Array weights = DequantisedBlocks(call.Input(1), call.Input(2), call.OptionalInput(3), blocks);
  return WithBias(call, Multiply(call, call.Input(0), weights.Transposed({1, 0})), 5);
}

Array GatherBlockQuantized(const Call& call) {
  const Array& packed = call.Input(0);
  const bool elements = packed.type == ElementType::kUint4 || packed.type == ElementType::kInt4;
  const int64_t bits = elements ? 4 : call.Int("bits", 4);
  if (packed.dims.empty() || bits < 1) call.Refuse("has no table");
  const int64_t cols = Product({packed.dims.back(), elements ? 1 : 8 / bits}, 0, 2);
  const Blocks blocks{packed.dims[0], cols, bits, call.Int("block_size", 128), false};
  return GatherFrom(call, DequantisedBlocks(packed, call.Input(2), call.OptionalInput(3), blocks));
}

}  // namespace tied::converter::operations
