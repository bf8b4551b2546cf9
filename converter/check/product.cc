// Products, defined by the letters of their dimensions.
#include <utility>

#include "converter/check/operations.h"
#include "converter/graph/products.h"

namespace tied::converter::operations {

namespace {

struct Operand {
  const Array* array;
  std::string letters;
};

class LetteredProduct {
 public:
  LetteredProduct(const Call& call, const ProductDims& letters, const Array& a, const Array& b)
      : call_(call), a_{&a, letters.a}, b_{&b, letters.b}, result_(letters.result) {
    for (const char letter : result_) (Has(a_, letter) ? Has(b_, letter) ? batch_ : left_ : right_) += letter;
    for (const char letter : letters.a + letters.b) {
      if (result_.find(letter) != std::string::npos || sum_.find(letter) != std::string::npos) continue;
      if (!Has(a_, letter) || !Has(b_, letter)) call.Refuse("sums over a dimension of only one operand");
      sum_ += letter;
    }
  }

  Array Compute() {
    // The larger operand is outermost, so that each of its elements is computed once.
    if (CountOf(left_) > CountOf(right_)) {
      std::swap(a_, b_);
      std::swap(left_, right_);
    }
    std::vector<int64_t> dims;
    for (const char letter : result_) dims.push_back(SizeOf(letter));
    const std::vector<int64_t> strides = RowMajorStrides(dims);
    const auto in_result = [&](const std::string& group) { return Offsets(result_, dims, strides, group); };
    const Sides left{in_result(left_), OffsetsIn(a_, left_), OffsetsIn(a_, sum_)};
    const Sides right{in_result(right_), OffsetsIn(b_, right_), OffsetsIn(b_, sum_)};
    const std::vector<int64_t> batch = in_result(batch_), of_a = OffsetsIn(a_, batch_), of_b = OffsetsIn(b_, batch_);
    std::vector<double> values(static_cast<size_t>(Product(dims, 0, dims.size())));
    for (size_t i = 0; i < batch.size(); ++i) AddMatrix(left, of_a[i], right, of_b[i], &values, batch[i]);
    return Array::OfDoubles(dims, std::move(values));
  }

 private:
  // Offsets for each position along the dimensions of only one operand, and along the dimensions that are summed over.
  struct Sides {
    std::vector<int64_t> result;
    std::vector<int64_t> own;
    std::vector<int64_t> sum;
  };

  static bool Has(const Operand& operand, char letter) { return operand.letters.find(letter) != std::string::npos; }

  static int64_t SizeIn(const Operand& operand, char letter) {
    const size_t at = operand.letters.find(letter);
    return at == std::string::npos ? 1 : operand.array->dims[at];
  }

  int64_t SizeOf(char letter) const {
    const int64_t a = SizeIn(a_, letter), b = SizeIn(b_, letter);
    if (a != b && a != 1 && b != 1) call_.Refuse("the dimensions of its operands do not match");
    return a == 1 ? b : a;
  }

  int64_t CountOf(const std::string& group) const {
    std::vector<int64_t> sizes;
    for (const char letter : group) sizes.push_back(SizeOf(letter));
    return Product(sizes, 0, sizes.size());
  }

  std::vector<int64_t> OffsetsIn(const Operand& operand, const std::string& group) const {
    return Offsets(operand.letters, operand.array->dims, operand.array->strides, group);
  }

  // The offset of each position along the dimensions of a group; a dimension of 1 is broadcast.
  std::vector<int64_t> Offsets(const std::string& letters, const std::vector<int64_t>& dims,
                               const std::vector<int64_t>& strides, const std::string& group) const {
    std::vector<int64_t> offsets = {0};
    for (const char letter : group) {
      const size_t at = letters.find(letter);
      const int64_t stride = at == std::string::npos || dims[at] == 1 ? 0 : strides[at];
      std::vector<int64_t> longer;
      for (const int64_t offset : offsets) {
        for (int64_t i = 0; i < SizeOf(letter); ++i) longer.push_back(offset + i * stride);
      }
      offsets = std::move(longer);
    }
    return offsets;
  }

  void AddMatrix(const Sides& left, int64_t first_a, const Sides& right, int64_t first_b, std::vector<double>* values,
                 int64_t first) const {
    const double alpha = call_.Number(call_.Float("alpha", 1));
    const auto at = [&](const Operand& operand, int64_t offset) { return call_.Number(operand.array->At(offset)); };
    std::vector<double> column(right.sum.size());
    for (size_t j = 0; j < right.own.size(); ++j) {
      for (size_t k = 0; k < column.size(); ++k) column[k] = at(b_, first_b + right.own[j] + right.sum[k]);
      for (size_t i = 0; i < left.own.size(); ++i) {
        double sum = 0;
        for (size_t k = 0; k < column.size(); ++k) sum += at(a_, first_a + left.own[i] + left.sum[k]) * column[k];
        (*values)[static_cast<size_t>(first + left.result[i] + right.result[j])] = alpha * sum;
      }
    }
  }

  const Call& call_;
  Operand a_;
  Operand b_;
  const std::string result_;
  std::string batch_, left_, right_;  // dimensions of the result that both operands, the first or the second has
  std::string sum_;
};

}  // namespace

Array MatMul(const Call& call) { return Multiply(call, call.Input(0), call.Input(1)); }

Array Multiply(const Call& call, const Array& a, const Array& b) {
  const std::optional<ProductDims> letters = DimsOfProduct(call.node(), a.dims.size(), b.dims.size());
  if (!letters) call.Refuse("is a product that the reference evaluation does not support");
  return LetteredProduct(call, *letters, a, b).Compute();
}

Array Gemm(const Call& call) { return WithBias(call, MatMul(call), 2, call.Float("beta", 1)); }

}  // namespace tied::converter::operations
