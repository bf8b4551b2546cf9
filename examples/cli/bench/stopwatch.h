#ifndef TIED_EXAMPLES_CLI_BENCH_STOPWATCH_H_
#define TIED_EXAMPLES_CLI_BENCH_STOPWATCH_H_

#include <chrono>

namespace tied::cli {

// Seconds since it was made.
class Stopwatch {
 public:
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace tied::cli

#endif  // TIED_EXAMPLES_CLI_BENCH_STOPWATCH_H_
