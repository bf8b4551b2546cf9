// A session: a thread pool, scratch memory, and the computations of a model.
#ifndef TIED_RUNTIME_API_SESSION_H_
#define TIED_RUNTIME_API_SESSION_H_

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kernels/kernels.h"
#include "runtime/compute/hidden.h"
#include "runtime/compute/row_filter.h"
#include "runtime/compute/thread_pool.h"
#include "runtime/compute/topk.h"
#include "runtime/file/model.h"
#include "runtime/file/status.h"
#include "tied/tied.h"

namespace tied::runtime {

// Token ids in the caller's memory.
struct Ids {
  const void* data;
  tied_type type;  // TIED_INT64 or TIED_INT32
  size_t count;

  int64_t operator[](size_t i) const {
    if (type == TIED_INT64) return static_cast<const int64_t*>(data)[i];
    return static_cast<const int32_t*>(data)[i];
  }
};

// Whether the screen has been worth reading for calls of one kind. After it was read in vain, twice as many calls as
// the last time go without it, at most 32: most models' logits are either easy to bound or hard. Another k starts anew.
class ScreenHistory {
 public:
  bool MayHelp(size_t k) {
    if (k != k_) *this = {};
    k_ = k;
    if (left_out_ == 0) return true;
    --left_out_;
    return false;
  }
  void Record(bool helped) {
    leave_out_ = helped ? 0 : std::min<size_t>(2 * leave_out_ + 1, 32);
    left_out_ = leave_out_;
  }

 private:
  size_t k_ = 0;
  size_t leave_out_ = 0;
  size_t left_out_ = 0;  // calls that are still to go without
};

// Used by one thread at a time.
class Session {
 public:
  // threads: 0 for one per performance core. The session becomes one of the model's owners.
  // xnnpack_min_tokens: kernels::kNeverXnnpack for a deterministic session, 0 for the kernel set's default.
  static Status Create(Model* model, size_t threads, size_t xnnpack_min_tokens, Session** session);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Model& model() const { return *model_; }
  size_t threads() const { return pthreadpool_get_threads_count(pool_.get()); }

  // True for the one caller that may use the session until it calls Leave().
  bool Enter();
  void Leave() { busy_.store(false, std::memory_order_release); }

  // Ends the running computation. Any thread may call this.
  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }

  // Checks that Embed() can use the ids.
  Status CheckIds(const Embedding& embedding, const Ids& ids) const;

  // embeddings: [ids.count, cols]; the ids have been checked.
  Status Embed(const Embedding& embedding, const Ids& ids, float* embeddings) const;

  // Allocates the memory that Logits() and LogitsOf() need for `tokens` tokens.
  Status Reserve(const Head& head, size_t tokens);

  // hidden: [tokens, cols]; logits: [tokens, vocabulary], -infinity for ids without a row and for rows that the filter
  // denies. log_softmax: return log-probabilities. Needs Reserve(). Fails only if cancelled.
  Status Logits(const Head& head, const float* hidden, size_t tokens, const RowFilter& filter, bool log_softmax,
                float* logits);

  // logits: [tokens, count], for the token ids ids[0 … count), which must be below the vocabulary; -infinity for ids
  // without a row. Needs Reserve(). Fails only if cancelled.
  Status LogitsOf(const Head& head, const float* hidden, size_t tokens, const int64_t* ids, size_t count,
                  float* logits);

  // Nothing is written on error. Every pointer in `result` may be null.
  Status Topk(const Head& head, const float* hidden, size_t tokens, const TopkRequest& request,
              const tied_topk_result& result);

 private:
  Session(Model* model, const kernels::Kernels* kernels, size_t xnnpack_min_tokens);

  // Calls run(batch, index of its first token) for each batch of tokens. Stops at the first error and returns it.
  template <class Run>
  Status ForEachBatch(const Head& head, const float* hidden, size_t tokens, const RowFilter& filter, const Run& run);

  template <class Run>
  Status ForEachGroup(const HeadBatch& batch, const Run& run);

  Status CancelledOrOk() const;
  bool MayUseXnnpack(const HeadBatch& batch) const;

  // Applies log_softmax, if set, and moves logits to the indices of their ids. logits: [tokens, vocabulary], of which
  // the first [rows] are set.
  Status FinishLogits(const TableView& table, size_t tokens, bool log_softmax, float* logits) const;

  Status CheckTopk(const Head& head, const float* hidden, size_t tokens, const TopkRequest& request,
                   size_t allowed) const;

  Model* const model_;
  const kernels::Kernels* const kernels_;
  const size_t xnnpack_min_tokens_;
  ThreadPool pool_;      // null: one thread
  PackedHidden packed_;  // one batch of tokens
  ScreenScratch screen_scratch_;
  ScreenHistory log_z_screens_;
  ScreenHistory topk_screens_[kScreenTokens + 1];  // by the number of tokens that are screened together
  std::atomic<bool> busy_{false};
  std::atomic<bool> cancelled_{false};
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_API_SESSION_H_
