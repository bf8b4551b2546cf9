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

// The table: float32 rows, or a function that widens one. Rows are widened into a small buffer that stays in cache.
struct GemmRows {
  const float* values;  // [row_count, cols]; unused if `widen` is given
  WidenRow* widen;      // null: `values` holds the rows
  const void* context;  // for `widen`
};

// logits[t * logits_stride + r] = dot(rows[r, :], hidden[t, :]), r < row_count, t < tokens, summed in an order that
// XNNPACK chooses for the CPU. hidden: [tokens, cols]. Runs on `pool` (null: on the calling thread). While it runs it
// allocates threads * (tokens * (cols + 256) + 256 * cols) floats; the last term applies only if rows are widened.
// Once `cancelled` is true the remaining rows are skipped.
// Returns false if XNNPACK does not support this CPU or memory runs out; logits are then undefined.
bool GemmXnnpack(pthreadpool_t pool, const GemmRows& rows, size_t row_count, size_t cols, const float* hidden,
                 size_t tokens, float* logits, size_t logits_stride, const std::atomic<bool>& cancelled);

}  // namespace tied::kernels

#endif  // TIED_KERNELS_GEMM_XNNPACK_H_
