#include "tests/faults/address_space.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

namespace tied::test {

namespace {

size_t AddressSpace() {
  std::FILE* file = std::fopen("/proc/self/statm", "r");
  size_t pages = 0;
  if (file == nullptr || std::fscanf(file, "%zu", &pages) != 1) return 0;
  std::fclose(file);
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

bool LimitAddressSpace(size_t more) {
  const size_t now = AddressSpace();
  const rlimit limit = {now + more, RLIM_INFINITY};
  return now > 0 && setrlimit(RLIMIT_AS, &limit) == 0;
}

void UnlimitAddressSpace() {
  const rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_AS, &none);
}

}  // namespace tied::test
