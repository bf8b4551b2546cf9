// Repeats system calls that a signal interrupts.
#ifndef TIED_BASE_RETRY_H_
#define TIED_BASE_RETRY_H_

#include <cerrno>

namespace tied {

// Calls `call` until it does not fail with EINTR, and returns its result.
template <class Call>
auto Retry(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

}  // namespace tied

#endif  // TIED_BASE_RETRY_H_
