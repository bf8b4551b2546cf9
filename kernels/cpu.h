// Facts about the CPU other than its instruction sets.
#ifndef TIED_KERNELS_CPU_H_
#define TIED_KERNELS_CPU_H_

#include <cstddef>

namespace tied::kernels {

// Initialises cpuinfo. Returns false, without trying, if memory is too short for it: cpuinfo tries only once per
// process. If cpuinfo fails for other reasons, only the scalar kernels are available.
bool PrepareCpuinfo();

// Number of cores, without the small ones of a big.LITTLE chip: at least 1, and at most as many as the process may run
// on.
size_t PerformanceCoreCount();

}  // namespace tied::kernels

#endif  // TIED_KERNELS_CPU_H_
