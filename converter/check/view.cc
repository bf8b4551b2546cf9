// Operations that move elements or return shapes, without computing.
#include <algorithm>

#include "converter/check/operations.h"

namespace tied::converter::operations {

Array Constant(const Call& call) {
  const auto& [name, value] = *call.node().attributes.begin();
  if (value.tensor) return Array::Load(*value.tensor);
  if (value.i) return Array::OfInts({}, {*value.i});
  if (value.f) return Array::OfDoubles({}, {static_cast<double>(*value.f)});
  if (name == "value_ints") return Array::OfInts({static_cast<int64_t>(value.ints.size())}, value.ints);
  return Array::OfDoubles({static_cast<int64_t>(value.floats.size())}, {value.floats.begin(), value.floats.end()});
}

Array Identity(const Call& call) { return call.Input(0); }

Array Shape(const Call& call) {
  const std::vector<int64_t>& dims = call.Input(0).dims;
  const auto rank = static_cast<int64_t>(dims.size());
  const auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  const int64_t start = clamp(call.Int("start", 0));
  const int64_t end = std::max(start, clamp(call.Int("end", rank)));
  return Array::OfInts({end - start}, {dims.begin() + start, dims.begin() + end});
}

Array Gather(const Call& call) { return GatherFrom(call, call.Input(0)); }

Array GatherFrom(const Call& call, const Array& data) {
  const Array& indices = call.Input(1);
  const size_t rank = data.dims.size();
  const size_t axis = call.AxisOf(call.Int("axis", 0), rank);
  const auto at = static_cast<std::ptrdiff_t>(axis);
  std::vector<int64_t> dims(data.dims.begin(), data.dims.begin() + at);
  dims.insert(dims.end(), indices.dims.begin(), indices.dims.end());
  dims.insert(dims.end(), data.dims.begin() + at + 1, data.dims.end());
  const int64_t before = Product(data.dims, 0, axis), after = Product(data.dims, axis + 1, rank);
  std::vector<int64_t> ids, ints;
  for (int64_t i = 0; i < indices.size(); ++i) {
    ids.push_back(static_cast<int64_t>(call.AxisOf(indices.Int(i), static_cast<size_t>(data.dims[axis]))));
  }
  std::vector<double> doubles;
  for (int64_t i = 0; i < before; ++i) {
    for (const int64_t id : ids) {
      const int64_t first = (i * data.dims[axis] + id) * after;
      for (int64_t j = first; j < first + after; ++j) {
        if (data.integers) ints.push_back(data.Int(j));
        if (!data.integers) doubles.push_back(call.Number(data, j));
      }
    }
  }
  return data.integers ? Array::OfInts(dims, std::move(ints)) : Array::OfDoubles(dims, std::move(doubles));
}

Array Expand(const Call& call) { return call.Input(0).Expanded(call.Ints(1, "shape")); }

Array ConstantOfShape(const Call& call) {
  const auto value = call.node().attributes.find("value");
  const bool given = value != call.node().attributes.end() && value->second.tensor;
  const Array number = given ? Array::Load(*value->second.tensor) : Array::OfDoubles({1}, {0});
  return number.View({}).Expanded(call.Ints(0, "shape"));
}

Array Concat(const Call& call) {
  std::vector<int64_t> values;
  for (size_t i = 0; i < call.node().inputs.size(); ++i) {
    const Array& array = call.Input(i);
    if (array.dims.size() != 1) call.Refuse("joins tensors other than vectors");
    for (int64_t j = 0; j < array.size(); ++j) values.push_back(array.Int(j));
  }
  const auto size = static_cast<int64_t>(values.size());
  return Array::OfInts({size}, values);
}

Array Slice(const Call& call) {
  Array sliced = call.Input(0);
  const std::vector<int64_t> starts = call.Ints(1, "starts"), ends = call.Ints(2, "ends"),
                             steps = call.Ints(4, "steps");
  std::vector<int64_t> axes = call.Ints(3, "axes");
  for (size_t i = axes.size(); i < starts.size(); ++i) axes.push_back(static_cast<int64_t>(i));
  const size_t rank = sliced.dims.size();
  if (starts.size() != ends.size() || axes.size() != starts.size() || axes.size() > rank)
    call.Refuse("has invalid axes");
  if (std::any_of(steps.begin(), steps.end(), [](int64_t step) { return step != 1; }))
    call.Refuse("has steps other than 1");
  for (size_t i = 0; i < axes.size(); ++i) {
    const auto axis = static_cast<size_t>(call.AxisOf(axes[i], rank));
    int64_t& size = sliced.dims[axis];
    const auto clamp = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + size : at, 0, size); };
    const int64_t start = clamp(starts[i]), count = std::max<int64_t>(0, clamp(ends[i]) - start);
    sliced.start += start * sliced.strides[axis];
    sliced.row_major = sliced.row_major && (axis == 0 || count == size);
    size = count;
  }
  return sliced;
}

Array Squeeze(const Call& call) {
  const Array& array = call.Input(0);
  const std::vector<int64_t> axes = call.Ints(1, "axes");
  const auto rank = static_cast<int64_t>(array.dims.size());
  std::vector<int64_t> dims;
  for (int64_t i = 0; i < rank; ++i) {
    const bool named = std::count(axes.begin(), axes.end(), i) + std::count(axes.begin(), axes.end(), i - rank) > 0;
    const int64_t dim = array.dims[static_cast<size_t>(i)];
    if (!(axes.empty() ? dim == 1 : named)) dims.push_back(dim);
  }
  return array.View(dims);
}

Array Unsqueeze(const Call& call) {
  const Array& array = call.Input(0);
  std::vector<int64_t> axes = call.Ints(1, "axes");
  std::vector<int64_t> dims = array.dims;
  const size_t rank = dims.size() + axes.size();
  for (int64_t& axis : axes) axis = static_cast<int64_t>(call.AxisOf(axis, rank));
  std::sort(axes.begin(), axes.end());
  for (const int64_t axis : axes) {
    dims.insert(dims.begin() + static_cast<std::ptrdiff_t>(call.AxisOf(axis, dims.size() + 1)), 1);
  }
  return array.View(dims);
}

Array Flatten(const Call& call) {
  const Array& array = call.Input(0);
  const size_t rank = array.dims.size();
  const int64_t axis = call.Int("axis", 1);
  const size_t split = axis == static_cast<int64_t>(rank) ? rank : call.AxisOf(axis, rank);
  return array.View({Product(array.dims, 0, split), Product(array.dims, split, rank)});
}

Array Reshape(const Call& call) {
  const Array& array = call.Input(0);
  std::vector<int64_t> dims = call.Ints(1, "shape");
  std::vector<int64_t> others;
  for (size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] == 0 && call.Int("allowzero", 0) == 0) {
      dims[i] = array.dims[call.AxisOf(static_cast<int64_t>(i), array.dims.size())];
    }
    if (dims[i] != -1) others.push_back(dims[i]);
  }
  const int64_t known = Product(others, 0, others.size());
  for (int64_t& dim : dims) {
    if (dim == -1) dim = known == 0 ? 0 : array.size() / known;
  }
  if (Product(dims, 0, dims.size()) != array.size()) call.Refuse("changes the number of elements");
  return array.View(dims);
}

Array Transpose(const Call& call) {
  const Array& array = call.Input(0);
  const size_t rank = array.dims.size();
  std::vector<int64_t> given = call.Ints(1, "perm");
  for (size_t i = 0; given.size() < rank; ++i) given.push_back(static_cast<int64_t>(rank - 1 - i));
  std::vector<size_t> perm(rank);
  for (size_t i = 0; i < rank; ++i) perm[i] = call.AxisOf(given[i], rank);
  return array.Transposed(perm);
}

}  // namespace tied::converter::operations
