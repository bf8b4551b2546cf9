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

namespace tied::runtime {

namespace {

// From this many tokens on, XNNPACK is used where results need not be deterministic (docs/performance.md).
constexpr size_t kXnnpackMinTokens = 8;

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

// Calls run(batch, index of its first token) for each batch of tokens.
template <class Run>
void Session::ForEachBatch(const format::MatMul& matmul, const float* hidden, size_t tokens, const Run& run) {
  model_->PrepareForHead();
  HeadBatch batch;
  batch.kernels = kernels_;
  batch.table = model_->Table(matmul.table());
  batch.bias = matmul.bias() == nullptr ? nullptr : model_->Floats(*matmul.bias());
  batch.packed = packed_.get();
  for (size_t first = 0; first < tokens; first += batch.tokens) {
    batch.tokens = std::min(tokens - first, kMaxBatch);
    kernels_->pack_hidden(hidden + first * batch.table.cols, batch.tokens, batch.table.cols, packed_.get());
    if (!run(batch, first)) return;
  }
}

void Session::MatMul(const format::MatMul& matmul, const float* hidden, size_t tokens, float* logits) {
  ForEachBatch(matmul, hidden, tokens, [&](const HeadBatch& batch, size_t first) {
    float* out = logits + first * batch.table.rows;
    const bool may_use_xnnpack = !deterministic_ && batch.tokens >= kXnnpackMinTokens;
    if (!may_use_xnnpack || !RunLogitsXnnpack(pool_.get(), batch, hidden + first * batch.table.cols, out)) {
      RunLogits(pool_.get(), batch, out);
    }
    return true;
  });
}

Status Session::Argmax(const format::MatMul& matmul, const float* hidden, size_t tokens, int64_t* ids,
                       float* best_logits) {
  const size_t cols = model_->Table(matmul.table()).cols;
  for (size_t i = 0; i < tokens * cols; ++i) {
    if (!std::isfinite(hidden[i])) {
      return Status::Error(TIED_NOT_FINITE, "hidden of token %zu is not finite at column %zu", i / cols, i % cols);
    }
  }
  std::unique_ptr<Best[]> best(new (std::nothrow) Best[tokens]);
  if (best == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for the results of %zu tokens", tokens);
  Status status;
  ForEachBatch(matmul, hidden, tokens, [&](const HeadBatch& batch, size_t first) {
    size_t nan_row = 0;
    if (RunArgmax(pool_.get(), batch, best.get() + first, &nan_row)) return true;
    status = Status::Error(TIED_NOT_FINITE, "the logit of row %zu is NaN", nan_row);
    return false;
  });
  TIED_RETURN_IF_ERROR(status);
  for (size_t t = 0; t < tokens; ++t) {
    ids[t] = best[t].id;
    if (best_logits != nullptr) best_logits[t] = best[t].logit;
  }
  return Status();
}

}  // namespace tied::runtime
