#include "runtime/session.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstdlib>
#include <new>

#include "kernels/cpu.h"
#include "kernels/float_environment.h"
#include "kernels/gather.h"
#include "runtime/checked_math.h"
#include "runtime/head.h"
#include "runtime/topk.h"

namespace tied::runtime {

namespace {

constexpr size_t kScratchAlignment = 64;

}  // namespace

void Session::ScratchDeleter::operator()(float* scratch) const { std::free(scratch); }

Session::Session(Model* model, const kernels::Kernels* kernels, bool deterministic)
    : model_(model), kernels_(kernels), deterministic_(deterministic) {
  model_->Ref();
}

Session::~Session() { model_->Unref(); }

Status Session::Create(Model* model, size_t threads, bool deterministic, Session** session) {
  const kernels::Kernels* kernels = kernels::SelectKernels();
  if (kernels == nullptr) {
    return Status::Error(TIED_UNSUPPORTED, "TIED_ISA=%s: this CPU or this build has no such kernels",
                         std::getenv("TIED_ISA"));
  }
  std::unique_ptr<Session> created(new (std::nothrow) Session(model, kernels, deterministic));
  if (created == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for a session");
  if (threads == 0) threads = kernels::PerformanceCoreCount();
  if (threads > 1) {
    created->pool_.reset(pthreadpool_create(threads));
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

Status Session::CheckIds(const format::Gather& gather, const Ids& ids) const {
  const size_t rows = model_->Table(gather.table()).rows;
  for (size_t i = 0; i < ids.count; ++i) {
    const int64_t id = ids[i];
    if (id < 0 || static_cast<uint64_t>(id) >= rows) {
      return Status::Error(TIED_OUT_OF_RANGE, "token id %" PRId64 " at position %zu is not in [0, %zu)", id, i, rows);
    }
  }
  return Status();
}

void Session::Gather(const format::Gather& gather, const Ids& ids, float* embeddings) const {
  const kernels::ScopedFloatEnvironment environment;
  const TableView table = model_->Table(gather.table());
  for (size_t i = 0; i < ids.count; ++i) {
    kernels::GatherRowF32(table.values + static_cast<size_t>(ids[i]) * table.cols, table.cols, gather.scale(),
                          embeddings + i * table.cols);
  }
}

Status Session::Reserve(const format::MatMul& matmul, size_t tokens) {
  const size_t floats = kernels::PackedHiddenSize(std::min(tokens, kMaxBatch), model_->Table(matmul.table()).cols);
  if (floats <= packed_floats_) return Status();
  void* memory = nullptr;
  if (posix_memalign(&memory, kScratchAlignment, floats * sizeof(float)) != 0) {
    return Status::Error(TIED_OUT_OF_MEMORY, "no memory for the hidden states of %zu tokens", tokens);
  }
  packed_.reset(static_cast<float*>(memory));
  packed_floats_ = floats;
  return Status();
}

template <class Run>
Status Session::ForEachBatch(const format::MatMul& matmul, const float* hidden, size_t tokens, const Run& run) {
  model_->PrepareForHead();
  HeadBatch batch;
  batch.kernels = kernels_;
  batch.table = model_->Table(matmul.table());
  batch.bias = matmul.bias() == nullptr ? nullptr : model_->Floats(*matmul.bias());
  batch.packed = packed_.get();
  batch.cancelled = &cancelled_;
  for (size_t first = 0; first < tokens; first += batch.tokens) {
    batch.tokens = std::min(tokens - first, kMaxBatch);
    kernels_->pack_hidden(hidden + first * batch.table.cols, batch.tokens, batch.table.cols, packed_.get());
    TIED_RETURN_IF_ERROR(run(batch, first));
    if (cancelled_.load(std::memory_order_relaxed)) return Status::Error(TIED_CANCELLED, "the call was cancelled");
  }
  return Status();
}

Status Session::MatMul(const format::MatMul& matmul, const float* hidden, size_t tokens, float* logits) {
  return ForEachBatch(matmul, hidden, tokens, [&](const HeadBatch& batch, size_t first) {
    float* out = logits + first * batch.table.rows;
    const bool may_use_xnnpack = !deterministic_ && batch.tokens >= kernels_->xnnpack_min_tokens;
    if (!may_use_xnnpack || !RunLogitsXnnpack(pool_.get(), batch, hidden + first * batch.table.cols, out)) {
      RunLogits(pool_.get(), batch, out);
    }
    return Status();
  });
}

Status Session::Topk(const format::MatMul& matmul, const float* hidden, size_t tokens, size_t k, int64_t* ids,
                     float* best_logits) {
  const TableView table = model_->Table(matmul.table());
  if (k < 1 || k > TIED_MAX_K || k > table.rows) {
    return Status::Error(TIED_INVALID_ARGUMENT, "k is %zu, it must be from 1 to %zu", k,
                         std::min<size_t>(table.rows, TIED_MAX_K));
  }
  for (size_t i = 0; i < tokens * table.cols; ++i) {
    if (!std::isfinite(hidden[i])) {
      return Status::Error(TIED_NOT_FINITE, "hidden of token %zu is not finite at column %zu", i / table.cols,
                           i % table.cols);
    }
  }
  TIED_RETURN_IF_ERROR(Reserve(matmul, tokens));
  const size_t heaps = threads() * std::min(tokens, kMaxBatch) * k;
  size_t results = 0;
  size_t bytes = 0;
  if (!CheckedMultiply(tokens, k, &results) || !CheckedAdd(results, heaps, &bytes) ||
      !CheckedMultiply(bytes, sizeof(Candidate), &bytes)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "%zu tokens are too many", tokens);
  }
  const std::unique_ptr<Candidate[]> scratch(new (std::nothrow) Candidate[results + heaps]);
  if (scratch == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for the results of %zu tokens", tokens);
  Candidate* const best = scratch.get();
  TIED_RETURN_IF_ERROR(ForEachBatch(matmul, hidden, tokens, [&](const HeadBatch& batch, size_t first) {
    const size_t nan_row = RunTopk(pool_.get(), batch, k, best + results, best + first * k);
    if (nan_row == kNoRow) return Status();
    return Status::Error(TIED_NOT_FINITE, "the logit of row %zu is NaN", nan_row);
  }));
  for (size_t i = 0; i < results; ++i) {
    ids[i] = best[i].id;
    if (best_logits != nullptr) best_logits[i] = best[i].logit;
  }
  return Status();
}

}  // namespace tied::runtime
