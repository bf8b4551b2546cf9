// What the CPU is like, beyond its instruction sets.
#ifndef TIED_KERNELS_CPU_H_
#define TIED_KERNELS_CPU_H_

#include <cstddef>

namespace tied::kernels {

// Cores that are not the small ones of a big.LITTLE pair, as far as this process may run on them; at least 1.
size_t PerformanceCoreCount();

}  // namespace tied::kernels

#endif  // TIED_KERNELS_CPU_H_
