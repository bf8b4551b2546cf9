// This file defines both names of each function, so no header may map one to the other.
#undef _FILE_OFFSET_BITS
#include "tests/faults/failing_calls.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace tied::test {

namespace {

struct Fault {
  char calls[128] = "";
  bool each = false;
  long number = 0;
  int error = 0;
  int signal = 0;
  bool is_short = false;
};

Fault g_fault;
std::atomic<bool> g_armed{false};
std::atomic<long> g_next{0};
std::atomic<bool> g_happened{false};

bool Concerns(const char* call) {
  if (std::strcmp(g_fault.calls, "all") == 0) return true;
  const size_t length = std::strlen(call);
  for (const char* at = g_fault.calls; (at = std::strstr(at, call)) != nullptr; at += length) {
    const bool begins = at == g_fault.calls || at[-1] == ',';
    if (begins && (at[length] == ',' || at[length] == '\0')) return true;
  }
  return false;
}

// What happens to a call: it passes, fails with errno set, or transfers fewer bytes.
enum class Verdict { kPass, kFail, kShort };

Verdict Judge(const char* call) {
  if (!g_armed.load(std::memory_order_acquire) || !Concerns(call)) return Verdict::kPass;
  const long number = g_next.fetch_add(1);
  const bool hit = g_fault.each ? g_fault.error != EINTR || number % 2 == 0 : number == g_fault.number;
  if (!hit) return Verdict::kPass;
  g_happened = true;
  if (g_fault.signal != 0) raise(g_fault.signal);
  if (g_fault.is_short) return Verdict::kShort;
  if (g_fault.error == 0) return Verdict::kPass;
  errno = g_fault.error;
  return Verdict::kFail;
}

// A program built for coverage writes its shared counts at exit; faults must not affect that.
void EndFaultsAtProfile(const char* path) {
  const size_t length = std::strlen(path);
  if (length > 5 && std::strcmp(path + length - 5, ".gcda") == 0) g_armed = false;
}

size_t Shortened(size_t count) { return count > 1 ? (count + 1) / 2 : count; }

template <class Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

__attribute__((constructor)) void ReadEnvironment() {
  if (const char* fault = std::getenv("TIED_TEST_FAULT")) SetFault(fault);
}

}  // namespace

void SetFault(const std::string& fault) {
  g_armed = false;
  g_fault = {};
  g_next = 0;
  g_happened = false;
  char number[16] = "", what[16] = "";
  if (std::sscanf(fault.c_str(), "%127s %15s %15s", g_fault.calls, number, what) != 3) return;
  g_fault.each = std::strcmp(number, "each") == 0;
  g_fault.number = std::atol(number);
  g_fault.is_short = std::strcmp(what, "short") == 0;
  if (std::sscanf(what, "signal%d", &g_fault.signal) != 1) g_fault.error = std::atoi(what);
  g_armed = true;
}

bool FaultHappened() { return g_happened; }

}  // namespace tied::test

using tied::test::EndFaultsAtProfile;
using tied::test::Judge;
using tied::test::Next;
using tied::test::Shortened;
using tied::test::Verdict;

// FAILS(name, failure, result type, (parameters), (arguments)): calls the next function of that name unless the call is
// to fail.
#define FAILS_AS(name, call, failure, result, parameters, arguments) \
  result name parameters {                                           \
    static auto* const next = Next<result parameters>(#name);        \
    if (Judge(call) == Verdict::kFail) return failure;               \
    return next arguments;                                           \
  }
#define FAILS(name, result, parameters, arguments) FAILS_AS(name, #name, -1, result, parameters, arguments)

// Reads and writes, which may also transfer fewer bytes.
#define TRANSFERS_AS(name, call, parameters, arguments)        \
  ssize_t name parameters {                                    \
    static auto* const next = Next<ssize_t parameters>(#name); \
    const Verdict verdict = Judge(call);                       \
    if (verdict == Verdict::kFail) return -1;                  \
    if (verdict == Verdict::kShort) count = Shortened(count);  \
    return next arguments;                                     \
  }
#define TRANSFERS(name, parameters, arguments) TRANSFERS_AS(name, #name, parameters, arguments)

#define OPENS(name)                                                                     \
  int name(const char* path, int flags, ...) {                                          \
    static auto* const next = Next<int(const char*, int, mode_t)>(#name);               \
    mode_t mode = 0;                                                                    \
    if ((flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE) {                   \
      va_list values;                                                                   \
      va_start(values, flags);                                                          \
      mode = va_arg(values, mode_t);                                                    \
      va_end(values);                                                                   \
    }                                                                                   \
    EndFaultsAtProfile(path);                                                           \
    const bool nameless = (flags & O_TMPFILE) == O_TMPFILE;                             \
    if (nameless && std::getenv("TIED_TEST_NAMED_FILES") != nullptr) {                  \
      errno = EOPNOTSUPP;                                                               \
      return -1;                                                                        \
    }                                                                                   \
    if (Judge((flags & O_ACCMODE) == O_RDONLY ? "open" : "create") == Verdict::kFail) { \
      return -1;                                                                        \
    }                                                                                   \
    return next(path, flags, mode);                                                     \
  }

#pragma GCC visibility push(default)
extern "C" {
OPENS(open)
OPENS(open64)
TRANSFERS(read, (int descriptor, void* data, size_t count), (descriptor, data, count))
TRANSFERS(write, (int descriptor, const void* data, size_t count), (descriptor, data, count))
TRANSFERS(pread, (int descriptor, void* data, size_t count, off_t offset), (descriptor, data, count, offset))
TRANSFERS_AS(pread64, "pread", (int descriptor, void* data, size_t count, off64_t offset),
             (descriptor, data, count, offset))
TRANSFERS(pwrite, (int descriptor, const void* data, size_t count, off_t offset), (descriptor, data, count, offset))
TRANSFERS_AS(pwrite64, "pwrite", (int descriptor, const void* data, size_t count, off64_t offset),
             (descriptor, data, count, offset))
FAILS(writev, ssize_t, (int descriptor, const iovec* parts, int count), (descriptor, parts, count))
FAILS(fsync, int, (int descriptor), (descriptor))
FAILS_AS(fchmod, "fchmod", -1, int, (int descriptor, mode_t mode) noexcept, (descriptor, mode))
FAILS_AS(rename, "rename", -1, int, (const char* from, const char* to) noexcept, (from, to))
FAILS_AS(linkat, "linkat", -1, int,
         (int from_folder, const char* from, int to_folder, const char* to, int flags) noexcept,
         (from_folder, from, to_folder, to, flags))
FAILS_AS(pthread_create, "pthread_create", EAGAIN, int,
         (pthread_t * thread, const pthread_attr_t* attributes, void* (*body)(void*), void* argument) noexcept,
         (thread, attributes, body, argument))
}
#pragma GCC visibility pop
