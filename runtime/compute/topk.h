// One call of Session::Topk(): its scratch memory, and its results until all are complete.
#ifndef TIED_RUNTIME_COMPUTE_TOPK_H_
#define TIED_RUNTIME_COMPUTE_TOPK_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/compute/best_k.h"
#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"
#include "runtime/compute/row_filter.h"
#include "runtime/compute/screen.h"
#include "runtime/file/status.h"
#include "tied/tied.h"

namespace tied::runtime {

struct TopkRequest {
  size_t k;
  RowFilter filter;
  bool use_screen;         // if the table has one
  double log_z_tolerance;  // 0: to float64 precision
};

class TopkCall {
 public:
  // allowed: number of rows that the filter of the batches allows.
  Status Allocate(size_t tokens, size_t k, size_t allowed, bool with_log_z);

  // Computes the batch, of at most kScreenTokens, whose first token is `first`. *done: false if it needs RunFull().
  // *worthwhile: false if RunFull() alone would have taken less time.
  Status RunScreened(pthreadpool_t pool, const HeadBatch& batch, size_t first, ScreenScratch* scratch,
                     double log_z_tolerance, bool* done, bool* worthwhile);
  Status RunFull(pthreadpool_t pool, const HeadBatch& batch, size_t first);

  // soft_cap: of the logits.
  void Write(const IdMap& ids, float soft_cap, size_t tokens, const tied_topk_result& result) const;

 private:
  size_t k_ = 0;
  size_t allowed_ = 0;
  uint64_t bytes_read_ = 0;
  std::unique_ptr<Candidate[]> best_;      // [tokens, k]
  std::unique_ptr<LogZ[]> log_z_;          // [tokens] or null
  std::unique_ptr<uint64_t[]> survivors_;  // [tokens]
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_TOPK_H_
