// Arithmetic on sizes that come from files and callers.
#ifndef TIED_SCHEMA_CHECKED_MATH_H_
#define TIED_SCHEMA_CHECKED_MATH_H_

namespace tied {

// Set *result to the exact a + b or a * b, for any integer types. Return false, with *result unspecified, if it does
// not fit in T.
template <class A, class B, class T>
[[nodiscard]] bool CheckedAdd(A a, B b, T* result) {
  return !__builtin_add_overflow(a, b, result);
}

template <class A, class B, class T>
[[nodiscard]] bool CheckedMultiply(A a, B b, T* result) {
  return !__builtin_mul_overflow(a, b, result);
}

// *result = a.
template <class A, class T>
[[nodiscard]] bool CheckedCast(A a, T* result) {
  return CheckedAdd(a, A{0}, result);
}

}  // namespace tied

#endif  // TIED_SCHEMA_CHECKED_MATH_H_
