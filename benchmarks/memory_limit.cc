// Measures time and memory of the next token; benchmarks/memory_limit runs it with little memory.
//   memory_limit MODEL.tied map|copy TOKENS
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <vector>

#include "tied/tied.hpp"

namespace {

// Memory that the system cannot drop: anonymous pages, resident or swapped out, in bytes.
double AnonymousMemory() {
  std::ifstream file("/proc/self/status");
  double bytes = 0;
  for (std::string line; std::getline(file, line);) {
    size_t kib = 0;
    if (std::sscanf(line.c_str(), "RssAnon: %zu", &kib) == 1 || std::sscanf(line.c_str(), "VmSwap: %zu", &kib) == 1) {
      bytes += 1024.0 * static_cast<double>(kib);
    }
  }
  return bytes;
}

long MajorFaults() {
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_majflt;
}

// Decodes greedily; a shift by one column replaces the decoder.
void Walk(const tied::Model& model, int tokens) {
  tied::Session session(model);
  std::vector<int64_t> id = {2};
  std::vector<double> ms;
  const long faults = MajorFaults();
  for (int i = 0; i < tokens; ++i) {
    std::vector<float> hidden = session.Embed(id);
    std::rotate(hidden.begin(), hidden.begin() + 1, hidden.end());
    const auto start = std::chrono::steady_clock::now();
    id = session.Argmax(hidden);
    ms.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(ms.begin(), ms.end());
  std::printf("%9.1f %9.1f %12ld %12.1f %12.0f\n", ms[ms.size() / 2], ms.back(), (MajorFaults() - faults) / tokens,
              AnonymousMemory() / 1e6, static_cast<double>(model.ResidentBytes()) / 1e6);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: memory_limit MODEL.tied map|copy TOKENS\n");
    return 2;
  }
  try {
    tied::OpenOptions options;
    options.copy = std::string(argv[2]) == "copy";
    Walk(tied::Model::Open(argv[1], options), std::max(1, std::atoi(argv[3])));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
