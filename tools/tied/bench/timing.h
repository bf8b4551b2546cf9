// Shared by all measurements of time.
#ifndef TIED_TOOLS_TIED_BENCH_TIMING_H_
#define TIED_TOOLS_TIED_BENCH_TIMING_H_

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

namespace tied::cli {

// Measures the seconds since its construction.
class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

// A pool's threads may spin for a while after their work, which would slow down the next measurement.
inline void LetThreadsSleep() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

inline double Median(std::vector<double> values) {
  const size_t middle = values.size() / 2;
  std::sort(values.begin(), values.end());
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_TIMING_H_
