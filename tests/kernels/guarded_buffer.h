// Values that end at an inaccessible page, so that reading past them crashes.
#ifndef TIED_TESTS_KERNELS_GUARDED_BUFFER_H_
#define TIED_TESTS_KERNELS_GUARDED_BUFFER_H_

#include <cstddef>
#include <vector>

namespace tied::test {

class GuardedBytes {
 public:
  GuardedBytes(const void* bytes, size_t count);
  ~GuardedBytes();
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;

  const void* data() const { return data_; }

 private:
  void* mapping_;
  size_t mapping_size_;
  void* data_;
};

template <class T>
class GuardedBuffer {
 public:
  explicit GuardedBuffer(const std::vector<T>& values) : bytes_(values.data(), values.size() * sizeof(T)) {}
  const T* data() const { return static_cast<const T*>(bytes_.data()); }

 private:
  GuardedBytes bytes_;
};

}  // namespace tied::test

#endif  // TIED_TESTS_KERNELS_GUARDED_BUFFER_H_
