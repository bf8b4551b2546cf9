#include "runtime/api/session.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <new>

#include "kernels/cpu.h"
#include "kernels/parallel.h"
#include "runtime/compute/gather.h"
#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"
#include "runtime/compute/screened_topk.h"

namespace tied::runtime {

Session::Session(Model* model, const kernels::Kernels* kernels, size_t xnnpack_min_tokens)
    : model_(model), kernels_(kernels), xnnpack_min_tokens_(xnnpack_min_tokens) {
  model_->Ref();
}

Session::~Session() { model_->Unref(); }

Status Session::Create(Model* model, size_t threads, size_t xnnpack_min_tokens, Session** session) {
  if (!kernels::PrepareCpuinfo()) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for a session");
  const kernels::Kernels* kernels = kernels::SelectKernels();
  if (kernels == nullptr) {
    return Status::Error(TIED_UNSUPPORTED, "TIED_ISA=%s: this build or this CPU does not support such kernels",
                         std::getenv("TIED_ISA"));
  }
  std::unique_ptr<Session> created(new (std::nothrow) Session(model, kernels, xnnpack_min_tokens));
  if (created == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for a session");
  if (threads == 0) threads = std::min(kernels::PerformanceCoreCount(), kernels::kMaxThreads);
  if (threads > 1) {
    created->pool_ = CreateThreadPool(threads);
    if (created->pool_ == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "cannot start %zu threads", threads);
  }
  *session = created.release();
  return Status();
}

bool Session::Enter() {
  if (busy_.exchange(true, std::memory_order_acquire)) return false;
  cancelled_.store(false, std::memory_order_relaxed);
  return true;
}

Status Session::CheckIds(const Embedding& embedding, const Ids& ids) const {
  const IdMap& map = embedding.table.ids;
  for (size_t i = 0; i < ids.count; ++i) {
    const int64_t id = ids[i];
    if (id < 0 || static_cast<uint64_t>(id) >= map.vocabulary) {
      return Status::Error(TIED_OUT_OF_RANGE, "token id %" PRId64 " at position %zu is not in [0, %zu)", id, i,
                           map.vocabulary);
    }
    if (map.RowOf(static_cast<size_t>(id)) == kNoRow) {
      return Status::Error(TIED_OUT_OF_RANGE,
                           "token id %" PRId64 " at position %zu was dropped when the model was converted", id, i);
    }
  }
  return Status();
}

Status Session::CancelledOrOk() const {
  return cancelled_.load(std::memory_order_relaxed) ? Status::Error(TIED_CANCELLED, "the call was cancelled")
                                                    : Status();
}

Status Session::Embed(const Embedding& embedding, const Ids& ids, float* embeddings) const {
  const TableView& table = embedding.table;
  for (size_t i = 0; i < ids.count; ++i) {
    if (i % 256 == 0) TIED_RETURN_IF_ERROR(CancelledOrOk());
    const size_t row = table.ids.RowOf(static_cast<size_t>(ids[i]));
    GatherRow(table, row, embedding.scale, embeddings + i * table.cols);
  }
  model_->CountScatteredRows(ids.count);
  return Status();
}

Status Session::Reserve(const Head& head, size_t tokens) {
  if (head.scale != 1) TIED_RETURN_IF_ERROR(packed_.ReserveScaled(head.table.cols, tokens));
  return packed_.Reserve(head.table, tokens, /*with_activations=*/false);
}

template <class Run>
Status Session::ForEachBatch(const Head& head, const float* hidden, size_t tokens, const RowFilter& filter,
                             const Run& run) {
  HeadBatch batch;
  batch.kernels = kernels_;
  batch.table = head.table;
  batch.bias = head.bias;
  batch.soft_cap = head.soft_cap;
  batch.packed = &packed_;
  batch.filter = filter;
  batch.cancelled = &cancelled_;
  for (size_t first = 0; first < tokens; first += batch.tokens) {
    batch.tokens = std::min(tokens - first, kMaxBatch);
    batch.hidden = hidden + first * batch.table.cols;
    if (head.scale != 1) batch.hidden = packed_.Scaled(batch.hidden, batch.tokens, batch.table.cols, head.scale);
    TIED_RETURN_IF_ERROR(run(batch, first));
    TIED_RETURN_IF_ERROR(CancelledOrOk());
  }
  return Status();
}

bool Session::MayUseXnnpack(const HeadBatch& batch) const {
  if (batch.filter.bits != nullptr) return false;
  size_t least = xnnpack_min_tokens_;
  if (least == 0) {
    const kernels::XnnpackMinTokens& fastest = kernels_->xnnpack_min_tokens;
    least = batch.table.type == TIED_FLOAT32 ? fastest.float32 : fastest.widened;
  }
  return batch.tokens >= least;
}

Status Session::Logits(const Head& head, const float* hidden, size_t tokens, const RowFilter& filter, bool log_softmax,
                       float* logits) {
  model_->PrepareForHead();
  const TableView& table = head.table;
  TIED_RETURN_IF_ERROR(ForEachBatch(head, hidden, tokens, filter, [&](const HeadBatch& batch, size_t first) {
    float* out = logits + first * table.ids.vocabulary;
    if (!MayUseXnnpack(batch) || !RunLogitsXnnpack(pool_.get(), batch, out)) RunLogits(pool_.get(), batch, out);
    return Status();
  }));
  return FinishLogits(table, tokens, log_softmax, logits);
}

Status Session::FinishLogits(const TableView& table, size_t tokens, bool log_softmax, float* logits) const {
  if (!log_softmax && table.ids.is_identity()) return Status();
  kernels::ForEachTile(pool_.get(), cancelled_, tokens, /*tile_items=*/1, [&](const kernels::Tile& token) {
    float* of_token = logits + token.first * table.ids.vocabulary;
    if (log_softmax) LogSoftmax(*kernels_, of_token, table.rows, TileRows(table.row_bytes));
    if (!table.ids.is_identity()) table.ids.Spread(of_token);
  });
  return CancelledOrOk();
}

Status Session::LogitsOf(const Head& head, const float* hidden, size_t tokens, const int64_t* ids, size_t count,
                         float* logits) {
  return ForEachBatch(head, hidden, tokens, RowFilter(), [&](const HeadBatch& batch, size_t first) {
    RunLogitsOf(pool_.get(), batch, ids, count, logits + first * count);
    return Status();
  });
}

// Calls run(group, first token) for the groups of a batch that are screened together.
template <class Run>
Status Session::ForEachGroup(const HeadBatch& batch, const Run& run) {
  for (size_t first = 0; first < batch.tokens; first += kScreenTokens) {
    HeadBatch group = batch;
    group.hidden += first * batch.table.cols;
    group.tokens = std::min(batch.tokens - first, kScreenTokens);
    TIED_RETURN_IF_ERROR(run(group, first));
    TIED_RETURN_IF_ERROR(CancelledOrOk());
  }
  return Status();
}

Status Session::CheckTopk(const Head& head, const float* hidden, size_t tokens, const TopkRequest& request,
                          size_t allowed) const {
  if (allowed == 0) return Status::Error(TIED_INVALID_ARGUMENT, "no row is allowed by row_ids and allowed");
  if (request.k < 1 || request.k > TIED_MAX_K || request.k > allowed) {
    return Status::Error(TIED_INVALID_ARGUMENT, "k is %zu; it must be from 1 to %zu", request.k,
                         std::min<size_t>(allowed, TIED_MAX_K));
  }
  const size_t cols = head.table.cols;
  for (size_t i = 0; i < tokens * cols; ++i) {
    if (!std::isfinite(hidden[i] * head.scale)) {
      return Status::Error(TIED_NOT_FINITE, "the hidden state of token %zu is not finite at column %zu", i / cols,
                           i % cols);
    }
  }
  return Status();
}

Status Session::Topk(const Head& head, const float* hidden, size_t tokens, const TopkRequest& request,
                     const tied_topk_result& result) {
  const TableView& table = head.table;
  const size_t allowed = request.filter.Count(table.rows);
  TIED_RETURN_IF_ERROR(CheckTopk(head, hidden, tokens, request, allowed));
  const bool with_log_z = result.log_z != nullptr || result.log_z_bound != nullptr;
  // With few rows per result, most rows would survive the screen, which does not bound sums of soft-capped logits. A
  // full pass over integers takes less time than their bounds and exponentials.
  const bool screened_log_z = request.log_z_tolerance > 0 && head.soft_cap == 0 && table.is_float();
  ScreenHistory& history = with_log_z ? log_z_screens_ : topk_screens_[std::min(tokens, kScreenTokens)];
  const bool screen = request.use_screen && table.screen.upper != nullptr && request.k <= allowed / 8 &&
                      (!with_log_z || screened_log_z) && history.MayHelp(request.k);
  if (head.scale != 1) TIED_RETURN_IF_ERROR(packed_.ReserveScaled(table.cols, tokens));
  TIED_RETURN_IF_ERROR(packed_.Reserve(table, tokens, screen));
  if (screen && !screen_scratch_.Reserve(table, tokens, pthreadpool_get_threads_count(pool_.get()))) {
    return Status::Error(TIED_OUT_OF_MEMORY, "no memory to screen %zu tokens", tokens);
  }
  TopkCall call;
  TIED_RETURN_IF_ERROR(call.Allocate(tokens, request.k, allowed, with_log_z));
  bool worthwhile = true;
  const auto run_batch = [&](const HeadBatch& batch, size_t first) {
    if (!screen) {
      model_->PrepareForHead();
      return call.RunFull(pool_.get(), batch, first);
    }
    model_->PrepareForScreen();
    return ForEachGroup(batch, [&](const HeadBatch& group, size_t in_batch) {
      bool done = false, helped = false;
      TIED_RETURN_IF_ERROR(call.RunScreened(pool_.get(), group, first + in_batch, &screen_scratch_,
                                            request.log_z_tolerance, &done, &helped));
      worthwhile = worthwhile && helped;
      if (done) return Status();
      model_->PrepareForHead();
      return call.RunFull(pool_.get(), group, first + in_batch);
    });
  };
  TIED_RETURN_IF_ERROR(ForEachBatch(head, hidden, tokens, request.filter, run_batch));
  if (screen) history.Record(worthwhile);
  call.Write(table.ids, head.soft_cap, tokens, result);
  return Status();
}

}  // namespace tied::runtime
