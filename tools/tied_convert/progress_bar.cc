#include "tools/tied_convert/progress_bar.h"

#include <unistd.h>

#include <cstdio>
#include <string>

namespace tied::converter {

StepProgress MakeProgressBar() {
  if (isatty(STDERR_FILENO) == 0) return {};
  return [drawn = -1](const char* step, uint64_t done, uint64_t total) mutable {
    constexpr int kWidth = 40;
    const int percent =
        total == 0 ? 100 : static_cast<int>(100.0 * static_cast<double>(done) / static_cast<double>(total));
    if (percent == drawn) return;
    drawn = percent;
    const auto filled = static_cast<size_t>(percent * kWidth / 100);
    const std::string bar = std::string(filled, '#') + std::string(kWidth - filled, '.');
    if (done < total) {
      std::fprintf(stderr, "\r%s [%s] %3d %%", step, bar.c_str(), percent);
    } else {
      // Erases the finished line, so that only the summary stays on the terminal.
      std::fprintf(stderr, "\r\033[K");
    }
  };
}

}  // namespace tied::converter
