// Floats that end where the next page cannot be touched: whatever reads behind them crashes.
#ifndef TIED_TESTS_KERNELS_GUARDED_BUFFER_H_
#define TIED_TESTS_KERNELS_GUARDED_BUFFER_H_

#include <cstddef>
#include <vector>

namespace tied::test {

class GuardedBuffer {
 public:
  explicit GuardedBuffer(const std::vector<float>& values);
  ~GuardedBuffer();
  GuardedBuffer(const GuardedBuffer&) = delete;
  GuardedBuffer& operator=(const GuardedBuffer&) = delete;

  const float* data() const { return data_; }

 private:
  void* mapping_;
  size_t mapping_size_;
  const float* data_;
};

}  // namespace tied::test

#endif  // TIED_TESTS_KERNELS_GUARDED_BUFFER_H_
