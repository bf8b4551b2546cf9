// Memory that a session keeps from call to call.
#ifndef TIED_RUNTIME_COMPUTE_SCRATCH_H_
#define TIED_RUNTIME_COMPUTE_SCRATCH_H_

#include <cstddef>
#include <memory>
#include <new>

namespace tied::runtime {

// An array that grows; its elements are not initialised, and undefined after it has grown.
template <class T>
class ScratchArray {
 public:
  // False if there is no memory.
  bool Reserve(size_t count) {
    if (count <= count_) return true;
    items_.reset();
    items_.reset(new (std::nothrow) T[count]);
    count_ = items_ == nullptr ? 0 : count;
    return items_ != nullptr;
  }
  T* get() const { return items_.get(); }
  T& operator[](size_t i) const { return items_[i]; }

 private:
  std::unique_ptr<T[]> items_;
  size_t count_ = 0;
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SCRATCH_H_
