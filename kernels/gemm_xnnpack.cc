#include "kernels/gemm_xnnpack.h"

#include <xnnpack.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <new>
#include <type_traits>

#include "kernels/float_environment.h"
#include "kernels/parallel.h"

namespace tied::kernels {

namespace {

// Rows in one run of an operator: its output, tokens x 256 floats, is transposed while it is in the L2 cache.
constexpr size_t kTileRows = 256;

// XNNPACK reads up to this many bytes behind its input and weights (XNN_EXTRA_BYTES in its header).
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

// What one thread works with: an operator holds the pointers of its current run, so threads cannot share it.
struct Worker {
  Operator op;
  std::unique_ptr<float[]> output;  // [kTileRows, tokens]
  std::unique_ptr<float[]> rows;    // [kTileRows, cols], if rows are widened
};

struct Job {
  const GemmRows& rows;
  size_t cols;
  size_t tokens;
  float* logits;
  size_t logits_stride;
  Worker* workers;
  const std::atomic<bool>& cancelled;
  WorkPlaces places;
  std::atomic<bool> failed;
};

void Transpose(const float* output, size_t row_count, size_t tokens, float* logits, size_t logits_stride) {
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < row_count; ++r) logits[t * logits_stride + r] = output[r * tokens + t];
  }
}

void RunTile(void* context, size_t first, size_t count) {
  Job& job = *static_cast<Job*>(context);
  if (job.cancelled.load(std::memory_order_relaxed)) return;
  const ScopedFloatEnvironment environment;
  const size_t place = job.places.Take();
  Worker& worker = job.workers[place];
  const float* rows = job.rows.values + first * job.cols;
  if (worker.rows != nullptr) {
    for (size_t r = 0; r < count; ++r) job.rows.widen(job.rows.context, first + r, &worker.rows[r * job.cols]);
    rows = worker.rows.get();
  }
  if (RunOperator(worker.op.get(), rows, count, worker.output.get())) {
    Transpose(worker.output.get(), count, job.tokens, job.logits + first, job.logits_stride);
  } else {
    job.failed.store(true, std::memory_order_relaxed);
  }
  job.places.Return(place);
}

}  // namespace

bool GemmXnnpack(pthreadpool_t pool, const GemmRows& rows, size_t row_count, size_t cols, const float* hidden,
                 size_t tokens, float* logits, size_t logits_stride, const std::atomic<bool>& cancelled) {
  // Every time: it does its work once, and a failure of today need not be one of tomorrow.
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
  Job job{rows, cols, tokens, logits, logits_stride, workers.get(), cancelled, WorkPlaces(threads), {false}};
  pthreadpool_parallelize_1d_tile_1d(pool, RunTile, &job, row_count, kTileRows, /*flags=*/0);
  return !job.failed.load(std::memory_order_relaxed);
}

}  // namespace tied::kernels
