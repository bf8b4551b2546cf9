// What the CPU is like, beyond its instruction sets.
#ifndef TIED_KERNELS_CPU_H_
#define TIED_KERNELS_CPU_H_

#include <cstddef>

namespace tied::kernels {

// Initialises cpuinfo, which tries once in a process and then gives up: not while memory is so short that it would
// fail. False: it is. Where cpuinfo fails for other reasons the scalar kernels are all there is.
bool PrepareCpuinfo();

// Cores that are not the small ones of a big.LITTLE pair, as far as this process may run on them; at least 1.
size_t PerformanceCoreCount();

}  // namespace tied::kernels

#endif  // TIED_KERNELS_CPU_H_
