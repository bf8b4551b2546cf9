// x86-64 with AVX-512 VL: for rows of integers the vectors of AVX2, with twice as many registers to hold them.
#include "kernels/avx512.h"

#include <cpuinfo.h>

#include "kernels/dot_float.h"
#include "kernels/dot_int.h"
#include "kernels/sets.h"

namespace tied::kernels {

namespace {

using Float = Avx512Float;
using Int = AvxInt<4, 4>;
using Blocks = AvxBlocks<2, 4>;

bool Available() {
  return cpuinfo_has_x86_avx512f() && cpuinfo_has_x86_avx512vl() && cpuinfo_has_x86_avx512bw() &&
         cpuinfo_has_x86_fma3() && cpuinfo_has_x86_f16c();
}

}  // namespace

void PackHiddenAvx512(const float* hidden, size_t tokens, size_t cols, float* packed) {
  PackGroups<Float>(hidden, tokens, cols, packed);
}
void DotF32Avx512(const void* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                  size_t logits_stride) {
  DotFloat<Float, float>::Dot(rows, row_count, cols, packed, tokens, logits, logits_stride);
}
void DotF16Avx512(const void* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                  size_t logits_stride) {
  DotFloat<Float, Half>::Dot(rows, row_count, cols, packed, tokens, logits, logits_stride);
}
void DotBF16Avx512(const void* rows, size_t row_count, size_t cols, const float* packed, size_t tokens, float* logits,
                   size_t logits_stride) {
  DotFloat<Float, BFloat16>::Dot(rows, row_count, cols, packed, tokens, logits, logits_stride);
}

const Kernels kAvx512 = {"avx512",
                         Available,
                         PackHiddenAvx512,
                         DotF32Avx512,
                         DotF16Avx512,
                         DotBF16Avx512,
                         PackStepsAsWords,
                         DotInt<Int, int8_t>::Dot,
                         DotInt<Int, uint8_t>::Dot,
                         PackStepsEvenOdd,
                         DotBlocksOf<Blocks, NibblePair>,
                         DotBlocksOf<Blocks, int8_t>,
                         DotBlocksOf<Blocks, uint8_t>,
                         /*xnnpack_min_tokens=*/kNeverXnnpack,
                         /*xnnpack_min_tokens_widened=*/kNeverXnnpack};

}  // namespace tied::kernels
