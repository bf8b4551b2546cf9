// Makes allocations fail on request. Linked into a program, it replaces the C library's allocator for all libraries of
// the process: malloc() and related functions, operator new, which calls them, and mmap().
#ifndef TIED_TESTS_FAULTS_FAILING_MEMORY_H_
#define TIED_TESTS_FAULTS_FAILING_MEMORY_H_

#include <cstdint>

namespace tied::test {

// While it exists, allocation number `first` (from 0) of this process fails, and unless only_one, all after it.
class FailingMemory {
 public:
  FailingMemory(uint64_t first, bool only_one);
  ~FailingMemory() { Stop(); }
  FailingMemory(const FailingMemory&) = delete;
  FailingMemory& operator=(const FailingMemory&) = delete;

  void Stop();

  // True if an allocation has failed.
  static bool Failed();
};

// Number of allocations and mappings that are not freed yet.
int64_t LiveAllocations();

}  // namespace tied::test

#endif  // TIED_TESTS_FAULTS_FAILING_MEMORY_H_
