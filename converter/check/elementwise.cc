// Operations on each element, with broadcasting.
#include <algorithm>
#include <functional>

#include "converter/check/operations.h"

namespace tied::converter::operations {

namespace {

template <class Compute>
Array Broadcast(const Call& call, const Array& a, const Array& b, const Compute& compute) {
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
    values[position] = compute(call.Number(a, at_a), call.Number(b, at_b));
  }
  return Array::OfDoubles(dims, std::move(values));
}

}  // namespace

Array Not(const Call& call) {
  const Array& array = call.Input(0);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < array.size(); ++i) values.push_back(array.Int(i) == 0);
  return Array::OfInts(array.dims, values);
}

Array Add(const Call& call) { return Broadcast(call, call.Input(0), call.Input(1), std::plus<double>()); }

Array Mul(const Call& call) { return Broadcast(call, call.Input(0), call.Input(1), std::multiplies<double>()); }

Array Divide(const Call& call, const Array& a, const Array& b) { return Broadcast(call, a, b, std::divides<double>()); }

Array WithBias(const Call& call, const Array& a, size_t b, double factor) {
  if (!call.Has(b)) return a;
  return Broadcast(call, a, call.Input(b), [&](double x, double y) { return x + factor * y; });
}

}  // namespace tied::converter::operations
