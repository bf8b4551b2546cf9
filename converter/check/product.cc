// Products of matrices.
#include "converter/check/operations.h"

namespace tied::converter::operations {

namespace {

double At(const Call& call, const Array& matrix, int64_t i, int64_t j) {
  return call.Number(matrix.At(i * matrix.strides[0] + j * matrix.strides[1]));
}

void AppendProduct(const Call& call, const Array& a, const Array& b, std::vector<double>* values) {
  if (a.dims[1] != b.dims[0]) call.Refuse("the operands do not fit together");
  const double alpha = call.Float("alpha", 1);
  const size_t first = values->size();
  values->resize(first + static_cast<size_t>(Product({a.dims[0], b.dims[1]}, 0, 2)));
  // The larger side outermost: each of its elements is asked for once.
  std::vector<double> column(static_cast<size_t>(a.dims[1]));
  for (int64_t j = 0; j < b.dims[1]; ++j) {
    for (int64_t k = 0; k < b.dims[0]; ++k) column[static_cast<size_t>(k)] = At(call, b, k, j);
    for (int64_t i = 0; i < a.dims[0]; ++i) {
      double sum = 0;
      for (int64_t k = 0; k < a.dims[1]; ++k) sum += At(call, a, i, k) * column[static_cast<size_t>(k)];
      (*values)[first + static_cast<size_t>(i * b.dims[1] + j)] = alpha * sum;
    }
  }
}

}  // namespace

Array MatMul(const Call& call) { return Multiply(call, call.Input(0), call.Input(1)); }

Array Multiply(const Call& call, const Array& a, const Array& b) {
  if (a.dims.size() < 2 || b.dims.size() < 2) call.Refuse("an operand is not a matrix");
  const auto& longer = a.dims.size() >= b.dims.size() ? a.dims : b.dims;
  std::vector<int64_t> dims(longer.begin(), longer.end() - 2);
  const int64_t batches = Product(dims, 0, dims.size());
  std::vector<double> values;
  for (int64_t batch = 0; batch < batches; ++batch) {
    const Array left = a.Matrix(a.dims.size() > 2 ? batch : 0, call.Int("transA", 0) != 0);
    const Array right = b.Matrix(b.dims.size() > 2 ? batch : 0, call.Int("transB", 0) != 0);
    AppendProduct(call, left, right, &values);
    if (batch == 0) dims.insert(dims.end(), {left.dims[0], right.dims[1]});
  }
  return Array::OfDoubles(dims, std::move(values));
}

Array Gemm(const Call& call) { return WithBias(call, MatMul(call), 2, call.Float("beta", 1)); }

}  // namespace tied::converter::operations
