#include "runtime/api/beam_step.h"

#include <cmath>
#include <limits>
#include <memory>
#include <new>

#include "runtime/api/typed_calls.h"
#include "schema/checked_math.h"

namespace tied::runtime {

namespace {

// The best ids of each beam, best first. As many as the whole step returns are enough: it cannot take more from one
// beam.
class Candidates {
 public:
  Status Find(Session& session, const float* hidden, size_t beams, size_t count, const tied_topk_options* options) {
    size_t size = 0;
    if (!CheckedMultiply(beams, count, &size) || beams > std::numeric_limits<int32_t>::max()) {
      return Status::Error(TIED_INVALID_ARGUMENT, "%zu ids of %zu beams are too many", count, beams);
    }
    count_ = count;
    beams_ = beams;
    ids_.reset(new (std::nothrow) int64_t[size]);
    logits_.reset(new (std::nothrow) float[size]);
    log_z_.reset(new (std::nothrow) double[beams]);
    next_.reset(new (std::nothrow) size_t[beams]());
    if (ids_ == nullptr || logits_ == nullptr || log_z_ == nullptr || next_ == nullptr) {
      return Status::Error(TIED_OUT_OF_MEMORY, "no memory for %zu ids of %zu beams", count, beams);
    }
    return Topk(session, hidden, beams, count, options,
                {ids_.get(), logits_.get(), log_z_.get(), nullptr, nullptr, nullptr});
  }

  Status CheckNumbers() const {
    for (size_t i = 0; i < beams_ * count_; ++i) {
      if (std::isnan(LogProbability(i / count_, i))) {
        return Status::Error(TIED_NOT_FINITE, "the log-probability of id %lld is not a number in beam %zu",
                             static_cast<long long>(ids_[i]), i / count_);
      }
    }
    return Status();
  }

  // Merges the lists of the beams. Each is sorted by its sums: adding a number to logits keeps their order.
  void Merge(const double* scores, const BeamResult& result) {
    for (size_t i = 0; i < count_; ++i) {
      size_t best = beams_;
      double best_sum = 0;
      for (size_t beam = 0; beam < beams_; ++beam) {
        if (next_[beam] == count_) continue;
        const double sum = scores[beam] + LogProbability(beam, beam * count_ + next_[beam]);
        if (best < beams_ && !(sum > best_sum)) continue;
        best = beam;
        best_sum = sum;
      }
      result.parents[i] = static_cast<int32_t>(best);
      result.ids[i] = ids_[best * count_ + next_[best]];
      result.scores[i] = best_sum;
      ++next_[best];
    }
  }

 private:
  double LogProbability(size_t beam, size_t i) const { return static_cast<double>(logits_[i]) - log_z_[beam]; }

  size_t count_ = 0;  // per beam, and of the result
  size_t beams_ = 0;
  std::unique_ptr<int64_t[]> ids_;   // [beams, count]
  std::unique_ptr<float[]> logits_;  // [beams, count]
  std::unique_ptr<double[]> log_z_;  // [beams]
  std::unique_ptr<size_t[]> next_;   // [beams]: the best that is not in the result
};

}  // namespace

Status BeamStep(Session& session, const float* hidden, const double* scores, size_t beams, size_t count,
                const tied_topk_options* options, const BeamResult& result) {
  if (beams == 0) return Topk(session, hidden, 0, count, options, {});
  if (scores == nullptr) return NullArgument("scores");
  if (result.parents == nullptr) return NullArgument("parents");
  if (result.ids == nullptr) return NullArgument("ids");
  if (result.scores == nullptr) return NullArgument("best_scores");
  if (count < 1 || count > TIED_MAX_K) {
    return Status::Error(TIED_INVALID_ARGUMENT, "count is %zu; it must be from 1 to %d", count, TIED_MAX_K);
  }
  for (size_t beam = 0; beam < beams; ++beam) {
    if (scores[beam] < INFINITY) continue;
    return Status::Error(TIED_NOT_FINITE, "the score of beam %zu is %g", beam, scores[beam]);
  }
  Candidates candidates;
  TIED_RETURN_IF_ERROR(candidates.Find(session, hidden, beams, count, options));
  TIED_RETURN_IF_ERROR(candidates.CheckNumbers());
  candidates.Merge(scores, result);
  return Status();
}

}  // namespace tied::runtime
