// Arithmetic on sizes that come from files and callers.
#ifndef TIED_RUNTIME_CHECKED_MATH_H_
#define TIED_RUNTIME_CHECKED_MATH_H_

namespace tied::runtime {

// *result = a + b or a * b; false, with *result unspecified, if that does not fit in T.
template <class T>
[[nodiscard]] bool CheckedAdd(T a, T b, T* result) {
  return !__builtin_add_overflow(a, b, result);
}

template <class T>
[[nodiscard]] bool CheckedMultiply(T a, T b, T* result) {
  return !__builtin_mul_overflow(a, b, result);
}

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_CHECKED_MATH_H_
