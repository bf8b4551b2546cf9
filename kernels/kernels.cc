#include "kernels/kernels.h"

#include <pthread.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "kernels/cpu.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

constexpr const Kernels* kSets[] = {
    &kScalar,
#if defined(TIED_KERNELS_X86)
    &kAvx2,   &kAvx512, &kAvx512Vnni, &kAvx512Intel,
#elif defined(TIED_KERNELS_ARM)
    &kNeon,
#if defined(__aarch64__)
    &kNeonDot, &kNeonI8mm,
#endif
#endif
    nullptr,
};

const Kernels* selected = nullptr;

}  // namespace

const Kernels* ChooseKernels(const char* forced) {
  (void)CpuinfoWorks();  // until it is initialised, cpuinfo knows no instructions
  const Kernels* choice = nullptr;
  for (const Kernels* const* set = kSets; *set != nullptr; ++set) {
    const bool runs = *set == &kScalar || (*set)->available();
    const bool wanted = forced == nullptr || *forced == '\0' || std::strcmp(forced, (*set)->isa) == 0;
    if (runs && wanted) choice = *set;
  }
  return choice;
}

size_t PackedTokenSize(size_t cols) { return (cols + kFloatLanes - 1) / kFloatLanes * kFloatLanes; }

size_t PackedHiddenSize(size_t tokens, size_t cols) { return tokens * PackedTokenSize(cols); }

// Whichever is larger: two bytes for each column, with columns padded to a multiple of 128 for rows of nibbles, or the
// layout of dot_blocks.h: 72 bytes for each block, with blocks padded to a multiple of 16.
size_t PackedActivationsSize(size_t tokens, size_t cols) {
  const size_t columns = (cols + 127) / 128 * 128;
  const size_t blocks = (BlocksOf(cols) + kBlockLanes - 1) / kBlockLanes * kBlockLanes;
  return tokens * std::max(2 * columns, 72 * blocks);
}

const Kernels* const* AllKernels() { return kSets; }

// Not a function-local static: its guard would be all that the runtime needs from a C++ runtime library.
const Kernels* SelectKernels() {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, [] { selected = ChooseKernels(std::getenv("TIED_ISA")); });
  return selected;
}

}  // namespace tied::kernels
