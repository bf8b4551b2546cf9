// Many tokens at once through XNNPACK's public operators, with the operands swapped: the table is the operator's input,
// which it never packs, and the few hidden states are its weights.
#ifndef TIED_KERNELS_GEMM_XNNPACK_H_
#define TIED_KERNELS_GEMM_XNNPACK_H_

#include <pthreadpool.h>

#include <atomic>
#include <cstddef>

namespace tied::kernels {

// Writes row `row` to values [cols], as float32.
using WidenRow = void(const void* context, size_t row, float* values);

// The table: its float32 rows, or how to widen one. Rows are widened into a small buffer that stays in cache.
struct GemmRows {
  const float* values;  // [row_count, cols]; unused if `widen` is given
  WidenRow* widen;      // null: none is needed
  const void* context;  // for `widen`
};

// logits[t * logits_stride + r] = dot(rows[r, :], hidden[t, :]), r < row_count, t < tokens, summed in an order that
// XNNPACK chooses for the CPU. hidden: [tokens, cols]. Runs on `pool` (null: on the calling thread), with
// threads * (tokens * (cols + 256) + 256 * cols) floats of memory of its own while it runs, the last only for rows that
// are widened.
// Once `cancelled` is true the rest is skipped.
// False if XNNPACK does not support this CPU or memory ran out: logits are then undefined.
bool GemmXnnpack(pthreadpool_t pool, const GemmRows& rows, size_t row_count, size_t cols, const float* hidden,
                 size_t tokens, float* logits, size_t logits_stride, const std::atomic<bool>& cancelled);

}  // namespace tied::kernels

#endif  // TIED_KERNELS_GEMM_XNNPACK_H_
