// Computes log_z of one token of a float table from screened logits: rows that matter are refined, then computed from
// the table.
#ifndef TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_
#define TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/compute/best_k.h"
#include "runtime/compute/head.h"
#include "runtime/compute/log_sum.h"
#include "runtime/compute/screen.h"
#include "runtime/compute/screened_topk.h"

namespace tied::runtime {

class ScreenedLogSum {
 public:
  // screen: after ReadUpper(). row_buffers: as for RunScattered().
  ScreenedLogSum(pthreadpool_t pool, const HeadBatch& batch, const Screen& screen, size_t token,
                 unsigned char* row_buffers)
      : pool_(pool), batch_(batch), screen_(screen), token_(token), row_buffers_(row_buffers) {}

  // best: the token's k best logits, which bound the sum from below. kTooMany: rows that cost more than a full pass
  // would be needed for log_z->bound <= tolerance.
  ScreenOutcome Run(const Candidate* best, size_t k, double tolerance, LogZ* log_z);

  uint64_t refined() const { return refined_count_; }    // rows whose lower nibbles were read
  uint64_t computed() const { return computed_count_; }  // rows computed from the table

 private:
  // A row whose lower nibbles were read.
  struct Refined {
    uint32_t row;
    float upper;
    float deviation;
  };
  struct Level;
  struct Part;
  class Levels;
  class Bounds;

  double LargestFiniteUpper() const;
  void SumUpper(Part* parts) const;
  bool CollectAbove(size_t cut, size_t count);
  void Refine();
  void AddRefined(Levels* levels) const;
  bool ComputeAbove(size_t cut, size_t count, float* logits);

  pthreadpool_t const pool_;
  const HeadBatch& batch_;
  const Screen& screen_;
  const size_t token_;
  unsigned char* const row_buffers_;
  double max_ = 0;  // the largest finite upper bound
  std::unique_ptr<Refined[]> refined_;
  std::unique_ptr<uint32_t[]> rows_;
  size_t refined_count_ = 0;
  size_t computed_count_ = 0;
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_SCREENED_LOG_SUM_H_
