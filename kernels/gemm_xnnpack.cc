#include "kernels/gemm_xnnpack.h"

#include <xnnpack.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <type_traits>

#include "kernels/cpu.h"
#include "kernels/parallel.h"

namespace tied::kernels {

namespace {

// Rows per run of an operator. Its output, tokens x 256 floats, is transposed while it is in the L2 cache.
constexpr size_t kTileRows = 256;

// XNNPACK reads up to XNN_EXTRA_BYTES past the end of its input and weights (see its header).
constexpr size_t kExtraFloats = XNN_EXTRA_BYTES / sizeof(float);

struct OperatorDeleter {
  void operator()(xnn_operator_t op) const { xnn_delete_operator(op); }
};
using Operator = std::unique_ptr<std::remove_pointer_t<xnn_operator_t>, OperatorDeleter>;

Operator MakeOperator(const float* hidden, size_t tokens, size_t cols) {
  xnn_operator_t op = nullptr;
  const xnn_status status = xnn_create_fully_connected_nc_f32(cols, tokens, cols, tokens, hidden, /*bias=*/nullptr,
                                                              -INFINITY, INFINITY, /*flags=*/0,
#if defined(TIED_XNNPACK_HAS_RESHAPE)
                                                              /*weights_cache=*/nullptr,
#endif
                                                              &op);
  return Operator(status == xnn_status_success ? op : nullptr);
}

bool RunOperator(xnn_operator_t op, const float* rows, size_t row_count, float* output) {
#if defined(TIED_XNNPACK_HAS_RESHAPE)
  return xnn_reshape_fully_connected_nc_f32(op, row_count, nullptr) == xnn_status_success &&
         xnn_setup_fully_connected_nc_f32(op, rows, output) == xnn_status_success &&
         xnn_run_operator(op, nullptr) == xnn_status_success;
#else
  return xnn_setup_fully_connected_nc_f32(op, row_count, rows, output, nullptr) == xnn_status_success &&
         xnn_run_operator(op, nullptr) == xnn_status_success;
#endif
}

// State of one worker. An operator holds the pointers of its current run, so threads cannot share it.
struct Worker {
  Operator op;
  std::unique_ptr<float[]> output;  // [kTileRows, tokens]
  std::unique_ptr<float[]> rows;    // [kTileRows, cols], if rows are widened
};

void Transpose(const float* output, size_t row_count, size_t tokens, float* logits, size_t logits_stride) {
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < row_count; ++r) logits[t * logits_stride + r] = output[r * tokens + t];
  }
}

}  // namespace

bool GemmXnnpack(pthreadpool_t pool, const GemmRows& rows, size_t row_count, size_t cols, const float* hidden,
                 size_t tokens, float* logits, size_t logits_stride, const std::atomic<bool>& cancelled) {
  if (!CpuinfoWorks()) return false;  // XNNPACK asks cpuinfo
  // Calling it again is cheap if it succeeded before, and may succeed if it failed before.
  if (xnn_initialize(/*allocator=*/nullptr) != xnn_status_success) return false;
  const size_t threads = pthreadpool_get_threads_count(pool);
  const std::unique_ptr<Worker[]> workers(new (std::nothrow) Worker[threads]);
  if (workers == nullptr) return false;
  for (size_t i = 0; i < threads; ++i) {
    workers[i].op = MakeOperator(hidden, tokens, cols);
    workers[i].output.reset(new (std::nothrow) float[kTileRows * tokens + kExtraFloats]);
    if (workers[i].op == nullptr || workers[i].output == nullptr) return false;
    if (rows.widen == nullptr) continue;
    workers[i].rows.reset(new (std::nothrow) float[kTileRows * cols + kExtraFloats]);
    if (workers[i].rows == nullptr) return false;
  }
  std::atomic<bool> failed{false};
  ForEachTile(pool, cancelled, row_count, kTileRows, [&](const Tile& tile) {
    const Worker& worker = workers[tile.worker];
    const float* tile_rows = rows.values + tile.first * cols;
    if (rows.widen != nullptr) {
      for (size_t r = 0; r < tile.count; ++r) rows.widen(rows.context, tile.first + r, &worker.rows[r * cols]);
      tile_rows = worker.rows.get();
    }
    if (RunOperator(worker.op.get(), tile_rows, tile.count, worker.output.get())) {
      Transpose(worker.output.get(), tile.count, tokens, logits + tile.first, logits_stride);
    } else {
      failed.store(true, std::memory_order_relaxed);
    }
  });
  return !failed.load(std::memory_order_relaxed);
}

}  // namespace tied::kernels
