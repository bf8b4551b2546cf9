// This file defines both names of each function, so no header may map one to the other.
#undef _FILE_OFFSET_BITS
#include "tests/faults/failing_memory.h"

#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

// The real allocator: glibc exports these names for this purpose since 2.0.
extern "C" {
void* __libc_malloc(size_t size) noexcept;
void* __libc_calloc(size_t count, size_t size) noexcept;
void* __libc_realloc(void* memory, size_t size) noexcept;
void* __libc_memalign(size_t alignment, size_t size) noexcept;
void __libc_free(void* memory) noexcept;
}

namespace tied::test {

namespace {

std::atomic<bool> g_armed{false};
std::atomic<uint64_t> g_next{0};
std::atomic<int64_t> g_live{0};
uint64_t g_first = 0;
bool g_only_one = false;

bool Fails() {
  if (!g_armed.load(std::memory_order_acquire)) return false;
  const uint64_t number = g_next.fetch_add(1);
  if (g_only_one ? number != g_first : number < g_first) return false;
  errno = ENOMEM;
  return true;
}

void* Counted(void* memory) {
  if (memory != nullptr) g_live.fetch_add(1, std::memory_order_relaxed);
  return memory;
}

}  // namespace

FailingMemory::FailingMemory(uint64_t first, bool only_one) {
  g_first = first;
  g_only_one = only_one;
  g_next = 0;
  g_armed = true;
}

void FailingMemory::Stop() { g_armed = false; }

bool FailingMemory::Failed() { return g_next > g_first; }

int64_t LiveAllocations() { return g_live; }

}  // namespace tied::test

using tied::test::Counted;
using tied::test::Fails;
using tied::test::g_live;

#pragma GCC visibility push(default)
extern "C" {

void* malloc(size_t size) noexcept { return Fails() ? nullptr : Counted(__libc_malloc(size)); }

void* calloc(size_t count, size_t size) noexcept { return Fails() ? nullptr : Counted(__libc_calloc(count, size)); }

void* realloc(void* memory, size_t size) noexcept {
  if (Fails()) return nullptr;
  void* moved = __libc_realloc(memory, size);
  if (memory == nullptr) Counted(moved);
  return moved;
}

void* memalign(size_t alignment, size_t size) noexcept {
  return Fails() ? nullptr : Counted(__libc_memalign(alignment, size));
}

void* aligned_alloc(size_t alignment, size_t size) noexcept { return memalign(alignment, size); }

int posix_memalign(void** memory, size_t alignment, size_t size) noexcept {
  void* aligned = memalign(alignment, size);
  if (aligned == nullptr) return ENOMEM;
  *memory = aligned;
  return 0;
}

void free(void* memory) noexcept {
  if (memory != nullptr) g_live.fetch_sub(1, std::memory_order_relaxed);
  __libc_free(memory);
}

// Libraries built with _FILE_OFFSET_BITS=64 call mmap64().
void* mmap64(void* address, size_t length, int protection, int flags, int descriptor, off64_t offset) noexcept {
  using Mmap = void*(void*, size_t, int, int, int, off64_t);
  static Mmap* const next = reinterpret_cast<Mmap*>(dlsym(RTLD_NEXT, "mmap64"));
  if (tied::test::Fails()) return MAP_FAILED;
  void* mapping = next(address, length, protection, flags, descriptor, offset);
  if (mapping != MAP_FAILED) g_live.fetch_add(1);
  return mapping;
}

#if defined(__LP64__)
void* mmap(void* address, size_t length, int protection, int flags, int descriptor, off_t offset) noexcept {
  return mmap64(address, length, protection, flags, descriptor, offset);
}
#endif

int munmap(void* address, size_t length) noexcept {
  const long result = syscall(SYS_munmap, address, length);
  if (result == 0) g_live.fetch_sub(1);
  return static_cast<int>(result);
}
}
#pragma GCC visibility pop
