// Facts about the CPU other than its instruction sets.
#ifndef TIED_KERNELS_CPU_H_
#define TIED_KERNELS_CPU_H_

#include <cstddef>

namespace tied::kernels {

// Initialises cpuinfo. Returns false, without trying, if memory is too short for it: cpuinfo tries only once per
// process.
bool PrepareCpuinfo();

// True if cpuinfo is initialised. False if it cannot tell what this CPU is. Then nothing may call cpuinfo, XNNPACK
// included, and only the scalar kernels are available, and on Arm those that the system names.
bool CpuinfoWorks();

// True if `text`, the beginning of /proc/cpuinfo, describes an Arm CPU. If it does not, cpuinfo ends the process with
// SIGSEGV. That is so under an emulator that shows its guest the host's file.
bool DescribesArm(const char* text);

#if defined(__arm__) || defined(__aarch64__)
// What NEON sets need, by cpuinfo or, if it does not work, by the system: fused multiply-add, dot products, and
// products of matrices of bytes, about which only the system is asked.
bool HasNeonFma();
bool HasNeonDot();
bool HasNeonI8mm();
#endif

// Number of cores, without the small ones of a big.LITTLE chip: at least 1, and at most as many as the process may run
// on.
size_t PerformanceCoreCount();

}  // namespace tied::kernels

#endif  // TIED_KERNELS_CPU_H_
