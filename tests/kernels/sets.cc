#include "tests/kernels/sets.h"

#include "kernels/cpu.h"

namespace tied::test {

#if defined(TIED_TEST_WIDE)
extern const kernels::Kernels kWide;
#endif

const kernels::Kernels& Scalar() { return *kernels::AllKernels()[0]; }

std::vector<const kernels::Kernels*> VectorSets() {
  (void)kernels::CpuinfoWorks();
  std::vector<const kernels::Kernels*> sets;
  const auto add = [&](const kernels::Kernels* set) {
    if (set->available()) sets.push_back(set);
  };
  for (const kernels::Kernels* const* set = kernels::AllKernels() + 1; *set != nullptr; ++set) add(*set);
#if defined(TIED_TEST_WIDE)
  add(&kWide);
#endif
  return sets;
}

std::vector<const kernels::Kernels*> AllSets() {
  std::vector<const kernels::Kernels*> sets = VectorSets();
  sets.push_back(&Scalar());
  return sets;
}

}  // namespace tied::test
