// Operations along the vocabulary, which is the last dimension.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "converter/check/operations.h"

namespace tied::converter::operations {

namespace {

void RequireLastAxis(const Call& call, const Array& array, int64_t default_axis) {
  if (call.AxisOf(call.Int("axis", default_axis), array.dims.size()) + 1 == array.dims.size()) return;
  call.Refuse("the reference evaluation supports only the last axis");
}

struct Selected {
  Array values;
  Array ids;
};

// Of equal values, the lower position comes first.
Selected Select(const Call& call, const Array& array, int64_t k) {
  const int64_t width = array.dims.back();
  if (k < 0 || k > width) call.Refuse("k is out of range");
  std::vector<double> values;
  std::vector<int64_t> ids;
  std::vector<int64_t> order(static_cast<size_t>(width));
  for (int64_t first = 0; first < array.size(); first += width) {
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int64_t i, int64_t j) { return call.Logit(array, first + i) > call.Logit(array, first + j); });
    for (int64_t i = 0; i < k; ++i) {
      ids.push_back(order[static_cast<size_t>(i)]);
      values.push_back(call.Logit(array, first + order[static_cast<size_t>(call.magnitudes() ? 0 : i)]));
    }
  }
  std::vector<int64_t> dims = array.dims;
  dims.back() = k;
  Selected selected{Array::OfDoubles(dims, std::move(values)), Array::OfInts(dims, std::move(ids))};
  selected.ids.ranked = std::make_shared<const Array>(array);
  return selected;
}

}  // namespace

std::vector<Array> ArgMax(const Call& call) {
  const Array& array = call.Input(0);
  RequireLastAxis(call, array, 0);
  Array ids = Select(call, array, 1).ids;
  if (call.Int("keepdims", 1) != 1) {
    ids.dims.pop_back();
    ids.strides = RowMajorStrides(ids.dims);
  }
  return {ids};
}

std::vector<Array> TopK(const Call& call) {
  if (call.node().outputs.size() < 2) call.Refuse("has one output");
  const Array& array = call.Input(0);
  RequireLastAxis(call, array, -1);
  const Selected selected = Select(call, array, call.Input(1).Int(0));
  return {selected.values, selected.ids};
}

// The magnitude of x - log_z is the sum of the magnitudes of x, of the largest x, and of the logarithm of the count.
Array LogSoftmax(const Call& call) {
  const Array& array = call.Input(0);
  RequireLastAxis(call, array, -1);
  const int64_t width = array.dims.back();
  const double log_width = std::log(static_cast<double>(width));
  std::vector<double> values(static_cast<size_t>(array.size()));
  for (int64_t first = 0; first < array.size(); first += width) {
    double max = call.Logit(array, first);
    for (int64_t i = 0; i < width; ++i) max = std::max(max, call.Logit(array, first + i));
    double sum = 0;
    for (int64_t i = 0; i < width; ++i) sum += std::exp(call.Logit(array, first + i) - max);
    for (int64_t i = 0; i < width; ++i) {
      const double x = call.Logit(array, first + i);
      values[static_cast<size_t>(first + i)] = call.magnitudes() ? x + max + log_width : x - max - std::log(sum);
    }
  }
  return Array::OfDoubles(array.dims, std::move(values));
}

}  // namespace tied::converter::operations
