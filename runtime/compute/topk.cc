#include "runtime/compute/topk.h"

#include <new>

#include "runtime/compute/full_topk.h"
#include "runtime/compute/screened_topk.h"
#include "runtime/compute/soft_cap.h"
#include "schema/checked_math.h"

namespace tied::runtime {

namespace {

template <class T>
Status Allocate(size_t count, std::unique_ptr<T[]>* array) {
  size_t bytes = 0;
  if (CheckedMultiply(count, sizeof(T), &bytes)) array->reset(new (std::nothrow) T[count]);
  return *array != nullptr ? Status() : Status::Error(TIED_OUT_OF_MEMORY, "no memory for %zu results", count);
}

Status NanLogit(const IdMap& ids, size_t row) {
  if (row == kNoRow) return Status();
  return Status::Error(TIED_NOT_FINITE, "the logit of token id %zu is NaN", ids.IdOf(row));
}

// Bytes of the scales and zero points of one row.
size_t ScaleBytes(const TableView& table) {
  const size_t scale = table.half_scales != nullptr ? sizeof *table.half_scales : sizeof *table.scales;
  return table.scales_per_row * (scale + (table.zero_points != nullptr ? 1 : 0));
}

}  // namespace

Status TopkCall::Allocate(size_t tokens, size_t k, size_t allowed, bool with_log_z) {
  size_t results = 0;
  if (!CheckedMultiply(tokens, k, &results)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "%zu tokens are too many", tokens);
  }
  k_ = k;
  allowed_ = allowed;
  TIED_RETURN_IF_ERROR(runtime::Allocate(results, &best_));
  TIED_RETURN_IF_ERROR(runtime::Allocate(tokens, &survivors_));
  return with_log_z ? runtime::Allocate(tokens, &log_z_) : Status();
}

Status TopkCall::RunScreened(pthreadpool_t pool, const HeadBatch& batch, size_t first, ScreenScratch* scratch,
                             double log_z_tolerance, bool* done, bool* worthwhile) {
  const ScreenResult screened = RunScreenedTopk(
      pool, batch, scratch,
      {k_, &best_[first * k_], &survivors_[first], log_z_tolerance, log_z_ == nullptr ? nullptr : &log_z_[first]});
  bytes_read_ += screened.bytes_read;
  if (screened.outcome == ScreenOutcome::kNoMemory) {
    return Status::Error(TIED_OUT_OF_MEMORY, "no memory to screen %zu tokens", batch.tokens);
  }
  *done = screened.outcome == ScreenOutcome::kDone;
  *worthwhile = log_z_ != nullptr ? *done : screened.worthwhile;
  return *done ? NanLogit(batch.table.ids, screened.nan_row) : Status();
}

Status TopkCall::RunFull(pthreadpool_t pool, const HeadBatch& batch, size_t first) {
  std::unique_ptr<Candidate[]> heaps;
  std::unique_ptr<float[]> tiles;
  std::unique_ptr<LogSum[]> log_sums;
  TIED_RETURN_IF_ERROR(runtime::Allocate(FullTopkHeapSize(pool, batch, k_), &heaps));
  TIED_RETURN_IF_ERROR(runtime::Allocate(FullTopkTileSize(pool, batch), &tiles));
  if (log_z_ != nullptr) TIED_RETURN_IF_ERROR(runtime::Allocate(FullTopkLogSumSize(batch), &log_sums));
  for (size_t t = 0; t < batch.tokens; ++t) survivors_[first + t] = allowed_;
  bytes_read_ += allowed_ * (batch.table.row_bytes + ScaleBytes(batch.table));
  return NanLogit(batch.table.ids, RunFullTopk(pool, batch, k_, {heaps.get(), tiles.get(), log_sums.get()},
                                               &best_[first * k_], log_z_ == nullptr ? nullptr : &log_z_[first]));
}

void TopkCall::Write(const IdMap& ids, float soft_cap, size_t tokens, const tied_topk_result& result) const {
  for (size_t i = 0; i < tokens * k_; ++i) {
    if (result.ids != nullptr) result.ids[i] = static_cast<int64_t>(ids.IdOf(static_cast<size_t>(best_[i].id)));
    if (result.logits != nullptr) result.logits[i] = best_[i].logit;
  }
  if (result.logits != nullptr) SoftCapRow(soft_cap, result.logits, tokens * k_);
  for (size_t t = 0; t < tokens; ++t) {
    if (result.log_z != nullptr) result.log_z[t] = log_z_[t].value;
    if (result.log_z_bound != nullptr) result.log_z_bound[t] = log_z_[t].bound;
    if (result.survivors != nullptr) result.survivors[t] = survivors_[t];
  }
  if (result.bytes_read != nullptr) *result.bytes_read = bytes_read_;
}

}  // namespace tied::runtime
