// One step of a beam search, on top of the top-k.
#ifndef TIED_RUNTIME_API_BEAM_STEP_H_
#define TIED_RUNTIME_API_BEAM_STEP_H_

#include <cstddef>
#include <cstdint>

#include "runtime/api/session.h"
#include "runtime/file/status.h"
#include "tied/tied.h"

namespace tied::runtime {

// The caller's arrays, [count].
struct BeamResult {
  int32_t* parents;
  int64_t* ids;
  double* scores;
};

// tied.h documents it. Writes nothing on error.
Status BeamStep(Session& session, const float* hidden, const double* scores, size_t beams, size_t count,
                const tied_topk_options* options, const BeamResult& result);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_API_BEAM_STEP_H_
