#include "tests/kernels/guarded_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace tied::test {

GuardedBytes::GuardedBytes(const void* bytes, size_t count) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t readable = (count + page - 1) / page * page;
  mapping_size_ = readable + page;
  mapping_ = mmap(nullptr, mapping_size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) std::abort();
  char* const end = static_cast<char*>(mapping_) + readable;
  if (mprotect(end, page, PROT_NONE) != 0) std::abort();
  data_ = end - count;
  if (count > 0) std::memcpy(data_, bytes, count);
}

GuardedBytes::~GuardedBytes() { munmap(mapping_, mapping_size_); }

}  // namespace tied::test
