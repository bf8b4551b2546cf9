// Elementwise operations with broadcasting.
#include <cmath>
#include <functional>

#include "converter/check/operations.h"

namespace tied::converter::operations {

namespace {

// The result is integers if both arrays are.
template <class Compute>
Array Broadcast(const Call& call, const Array& a, const Array& b, const Compute& compute) {
  const Array left = a.Expanded(b.dims), right = b.Expanded(a.dims);
  const auto size = static_cast<size_t>(left.size());
  if (a.integers && b.integers) {
    std::vector<int64_t> values(size);
    for (size_t i = 0; i < size; ++i) {
      const auto at = static_cast<int64_t>(i);
      const double value = compute(left.Float(at), right.Float(at));
      if (!(std::fabs(value) < 0x1p62)) call.Refuse("computes a number that is not an integer");
      values[i] = static_cast<int64_t>(value);
    }
    return Array::OfInts(left.dims, std::move(values));
  }
  std::vector<double> values(size);
  for (size_t i = 0; i < size; ++i) {
    values[i] = compute(call.Number(left, static_cast<int64_t>(i)), call.Number(right, static_cast<int64_t>(i)));
  }
  return Array::OfDoubles(left.dims, std::move(values));
}

}  // namespace

// Does not round between floating-point types.
Array Cast(const Call& call) {
  const Array& array = call.Input(0);
  const auto to = static_cast<ElementType>(call.Int("to", 0));
  if (IsFloat(to) == !array.integers) return array;
  std::vector<double> values;
  std::vector<int64_t> integers;
  for (int64_t i = 0; i < array.size(); ++i) {
    const double value = array.Float(i);
    values.push_back(value);
    if (std::fabs(value) < 0x1p62)
      integers.push_back(to == ElementType::kBool ? value != 0 : static_cast<int64_t>(value));
  }
  if (IsFloat(to)) return Array::OfDoubles(array.dims, std::move(values));
  if (integers.size() != values.size()) call.Refuse("casts a number that is not an integer");
  return Array::OfInts(array.dims, std::move(integers));
}

Array Not(const Call& call) {
  const Array& array = call.Input(0);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < array.size(); ++i) values.push_back(array.Int(i) == 0);
  return Array::OfInts(array.dims, values);
}

Array Add(const Call& call) { return Broadcast(call, call.Input(0), call.Input(1), std::plus<double>()); }

Array Sub(const Call& call) {
  const Array &a = call.Input(0), &b = call.Input(1);
  if (call.magnitudes() && !(a.integers && b.integers)) return Broadcast(call, a, b, std::plus<double>());
  return Broadcast(call, a, b, std::minus<double>());
}

Array Mul(const Call& call) { return Broadcast(call, call.Input(0), call.Input(1), std::multiplies<double>()); }

Array Div(const Call& call) { return Divide(call, call.Input(0), call.Input(1)); }

Array Equal(const Call& call) {
  const Array &a = call.Input(0), &b = call.Input(1);
  if (!a.integers || !b.integers) call.Refuse("the reference evaluation compares only integers");
  return Broadcast(call, a, b, std::equal_to<double>());
}

Array Where(const Call& call) {
  const Array &condition = call.Input(0), &then = call.Input(1), &otherwise = call.Input(2);
  if (!then.integers || !otherwise.integers) call.Refuse("the reference evaluation selects only from integers");
  const Array either = then.Expanded(otherwise.dims).Expanded(condition.dims);
  const Array other = otherwise.Expanded(either.dims), chosen = condition.Expanded(either.dims);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < either.size(); ++i) values.push_back(chosen.Int(i) != 0 ? either.Int(i) : other.Int(i));
  return Array::OfInts(either.dims, std::move(values));
}

// The slope is at most 1: an error of the operand is at least one of the result.
Array Tanh(const Call& call) {
  const Array& array = call.Input(0);
  std::vector<double> values;
  for (int64_t i = 0; i < array.size(); ++i) {
    const double x = call.Number(array, i);
    values.push_back(call.magnitudes() ? x : std::tanh(x));
  }
  return Array::OfDoubles(array.dims, std::move(values));
}

Array Divide(const Call& call, const Array& a, const Array& b) { return Broadcast(call, a, b, std::divides<double>()); }

Array WithBias(const Call& call, const Array& a, size_t b, double factor) {
  if (!call.Has(b)) return a;
  return Broadcast(call, a, call.Input(b), [&](double x, double y) { return x + factor * y; });
}

}  // namespace tied::converter::operations
