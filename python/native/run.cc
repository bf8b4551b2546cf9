#include "native/run.h"

#include "tied/tied.hpp"

namespace tied::python {

namespace nb = nanobind;

namespace {

using ReadOnly = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

tied_type TypeOf(nb::dlpack::dtype type) {
  if (type == nb::dtype<float>()) return TIED_FLOAT32;
  if (type == nb::dtype<int64_t>()) return TIED_INT64;
  if (type == nb::dtype<int32_t>()) return TIED_INT32;
  if (type == nb::dtype<bool>()) return TIED_BOOL;
  throw nb::type_error("an array of tied_run() is float32, int64, int32 or bool");
}

tied_tensor TensorOf(const char* name, const ReadOnly& array) {
  if (array.ndim() > TIED_MAX_RANK) {
    throw Error(TIED_INVALID_ARGUMENT, std::string(name) + ": a tensor has at most " + std::to_string(TIED_MAX_RANK) +
                                           " dimensions, not " + std::to_string(array.ndim()));
  }
  tied_tensor tensor = {};
  tensor.name = name;
  tensor.type = TypeOf(array.dtype());
  tensor.rank = array.ndim();
  for (size_t i = 0; i < tensor.rank; ++i) tensor.dims[i] = static_cast<int64_t>(array.shape(i));
  tensor.data = const_cast<void*>(array.data());  // tied.h never writes to an input
  tensor.bytes = array.nbytes();
  return tensor;
}

}  // namespace

Tensors::Tensors(const nb::object& entry_point, const nb::list& given) {
  names_.emplace_back();
  if (!entry_point.is_none()) names_.back() = nb::cast<nb::bytes>(entry_point).c_str();
  for (const nb::handle& item : given) {
    const auto& array = arrays_.emplace_back(nb::cast<ReadOnly>(item[1], false));
    inputs.push_back(TensorOf(Name(item[0]), array));
  }
}

double Tensors::AddOutputs(const nb::list& given) {
  double elements = 0;
  for (const nb::handle& item : given) {
    const char* name = Name(item[0]);
    if (item[1].is_none()) {
      outputs.push_back(OutputTensor(name));
      continue;
    }
    const auto& array = arrays_.emplace_back(nb::cast<ReadOnly>(item[1], false));
    elements += static_cast<double>(array.size());
    outputs.push_back(TensorOf(name, array));
  }
  return elements;
}

nb::list Tensors::OutputShapes() const {
  nb::list shapes;
  for (const tied_tensor& output : outputs) {
    nb::list shape;
    for (size_t i = 0; i < output.rank; ++i) shape.append(output.dims[i]);
    shapes.append(nb::make_tuple(output.type, nb::tuple(shape)));
  }
  return shapes;
}

const char* Tensors::Name(const nb::handle& name) {
  return names_.emplace_back(nb::cast<nb::bytes>(name).c_str()).c_str();
}

}  // namespace tied::python
