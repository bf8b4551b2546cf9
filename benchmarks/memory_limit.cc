// Measures time and memory of the next token; benchmarks/memory_limit runs it with little memory.
//   memory_limit MODEL.tied map|copy TOKENS
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "tied/tied.hpp"

namespace {

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
  std::printf("%9.1f %9.1f %12ld %12.0f\n", ms[ms.size() / 2], ms.back(), (MajorFaults() - faults) / tokens,
              static_cast<double>(model.ResidentBytes()) / 1e6);
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
