// Reports the progress of long steps.
#ifndef TIED_BASE_PROGRESS_H_
#define TIED_BASE_PROGRESS_H_

#include <cstdint>
#include <functional>

namespace tied {

// Called with the bytes done so far and the total.
using Progress = std::function<void(uint64_t done, uint64_t total)>;

}  // namespace tied

#endif  // TIED_BASE_PROGRESS_H_
