// Memory that runs out when a test says so. Linked into a program, it stands before the C library's allocator, for
// every library of the process: malloc() and its kin, operator new, which calls them, and mmap().
#ifndef TIED_TESTS_FAULTS_FAILING_MEMORY_H_
#define TIED_TESTS_FAULTS_FAILING_MEMORY_H_

#include <cstdint>

namespace tied::test {

// While it lives, allocation number `first` (from 0) of this process fails, or that one and all after it.
class FailingMemory {
 public:
  FailingMemory(uint64_t first, bool only_one);
  ~FailingMemory() { Stop(); }
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;

  void Stop();

  // Whether one has failed.
  static bool Failed();
};

// Allocations and mappings that are not freed yet.
int64_t LiveAllocations();

}  // namespace tied::test

#endif  // TIED_TESTS_FAULTS_FAILING_MEMORY_H_
