// A model of a few hundred numbers as a .tied file, with an independent evaluation.
#ifndef TIED_TESTS_SUPPORT_TEST_MODEL_H_
#define TIED_TESTS_SUPPORT_TEST_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/tied_file.h"

namespace tied::test {

// An If on `use_embedding`: entry point "embed" gathers input_ids [batch, sequence] into embeddings, "head" multiplies
// pre_logits [batch, sequence, cols] into logits. Each also produces the other's output as an empty constant.
class TestModel {
 public:
  // The weights are multiples of 1/8, small enough that every sum of products is exact in any order.
  TestModel(size_t rows, size_t cols);

  size_t rows() const { return rows_; }
  size_t cols() const { return cols_; }
  float scale() const { return 0.5f; }
  float Value(size_t row, size_t col) const { return values_[row * cols_ + col]; }
  float Bias(size_t row) const { return bias_[row]; }

  // For tests that change the numbers, [rows, cols] and [rows].
  std::vector<float>& values() { return values_; }
  std::vector<float>& bias() { return bias_; }

  // Expected embeddings of the ids, and expected logits of hidden [tokens, cols].
  std::vector<float> Embed(const std::vector<int64_t>& ids) const;
  std::vector<float> Logits(const std::vector<float>& hidden) const;

  // The file for changes, and its bytes.
  TiedFile MakeFile() const;
  std::string File() const { return MakeFile().Bytes(); }

 private:
  size_t rows_;
  size_t cols_;
  std::vector<float> values_;
  std::vector<float> bias_;
};

// Hidden states with numbers of the same kind.
std::vector<float> ExactHidden(size_t count);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_TEST_MODEL_H_
