#include "tests/kernels/wide_tile.h"

#include <cpuinfo.h>

#include "kernels/avx.h"
#include "kernels/dot_f32.h"

namespace tied::test {

namespace {

using WideTile = kernels::DotF32<kernels::Avx<4, 6>>;

bool Available() { return cpuinfo_has_x86_avx2() && cpuinfo_has_x86_fma3(); }

}  // namespace

const kernels::Kernels kWideTile = {"wide", Available, WideTile::Pack, WideTile::Dot, kernels::kNeverXnnpack};

}  // namespace tied::test
