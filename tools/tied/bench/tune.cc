#include "tools/tied/bench/tune.h"

#include <algorithm>
#include <iostream>
#include <thread>

#include "tools/tied/bench/timing.h"
#include "tools/tied/table.h"

namespace tied::cli {

namespace {

constexpr size_t kTokens[] = {2, 4, 8, 16, 32, 64};

// A session, and the times of its heads.
struct Candidate {
  std::unique_ptr<Session> session;
  std::vector<double> seconds;

  double Typical() const { return Median(seconds); }
};

Candidate MakeCandidate(const Model& model, size_t threads, int32_t xnnpack_min_tokens) {
  SessionOptions options;
  options.threads = static_cast<int32_t>(threads);
  options.deterministic = xnnpack_min_tokens == 0;
  options.xnnpack_min_tokens = xnnpack_min_tokens;
  return {std::make_unique<Session>(model, options), {}};
}

// Measures all candidates in turn, so that changes in the machine's speed affect all of them. The first turn does not
// count.
void Measure(std::vector<Candidate>& candidates, Span<const float> hidden, Span<float> logits, int repeat) {
  for (int pass = 0; pass <= repeat; ++pass) {
    for (Candidate& candidate : candidates) {
      LetThreadsSleep();
      const Stopwatch watch;
      candidate.session->Logits(hidden, logits);
      if (pass > 0) candidate.seconds.push_back(watch.Seconds());
    }
  }
}

size_t TuneThreads(const Model& model, Span<const float> hidden, Span<float> logits, int repeat, Json* measured) {
  const size_t most = std::clamp(std::thread::hardware_concurrency(), 1u, unsigned{kMostThreads});
  std::vector<Candidate> candidates;
  std::vector<size_t> counts;
  for (size_t threads = 1; threads < most; threads += std::max<size_t>(1, threads / 8)) counts.push_back(threads);
  counts.push_back(most);
  for (const size_t threads : counts) candidates.push_back(MakeCandidate(model, threads, 0));
  Measure(candidates, hidden, logits, repeat);
  double fastest = candidates[0].Typical();
  for (Candidate& candidate : candidates) fastest = std::min(fastest, candidate.Typical());
  size_t chosen = 0;
  for (size_t left = counts.size(); left > 0; --left) {
    const size_t threads = counts[left - 1];
    const double seconds = candidates[left - 1].Typical();
    measured->push_back({{"tokens", 1}, {"threads", threads}, {"xnnpack", false}, {"ms", seconds * 1e3}});
    if (seconds <= 1.02 * fastest) chosen = threads;
  }
  return chosen;
}

}  // namespace

Json Tune(const BenchOptions& options) {
  const Model model = Model::Open(options.model);
  const auto vocabulary = static_cast<size_t>(model.HeadTable().vocabulary),
             cols = static_cast<size_t>(model.HeadTable().cols);
  constexpr size_t kMost = kTokens[std::size(kTokens) - 1];
  Random random(kBenchSeed);
  const std::vector<float> hidden = RandomHidden(random, kMost * cols);
  std::vector<float> logits(kMost * vocabulary);
  Json measured = Json::array();
  const size_t threads =
      TuneThreads(model, {hidden.data(), cols}, {logits.data(), vocabulary}, options.repeat, &measured);
  Json min_tokens;
  for (const size_t tokens : kTokens) {
    std::vector<Candidate> candidates;
    candidates.push_back(MakeCandidate(model, threads, 0));
    candidates.push_back(MakeCandidate(model, threads, 1));
    Measure(candidates, {hidden.data(), tokens * cols}, {logits.data(), tokens * vocabulary}, options.repeat);
    for (const bool xnnpack : {false, true}) {
      measured.push_back({{"tokens", tokens},
                          {"threads", threads},
                          {"xnnpack", xnnpack},
                          {"ms", candidates[xnnpack ? 1 : 0].Typical() * 1e3}});
    }
    const bool faster = candidates[1].Typical() < candidates[0].Typical();
    if (!faster) min_tokens = nullptr;
    if (faster && min_tokens.is_null()) min_tokens = tokens;
  }
  return {{"model", options.model}, {"threads", threads}, {"xnnpack_min_tokens", min_tokens}, {"measured", measured}};
}

void PrintTuning(const Json& tuning) {
  constexpr Table::Align kRight = Table::Align::kRight;
  Table table({{"tokens", kRight}, {"threads", kRight}, {"kernels"}, {"ms", kRight}});
  for (const Json& row : tuning["measured"]) {
    table.AddRow({row["tokens"].dump(), row["threads"].dump(), row["xnnpack"] ? "XNNPACK" : "tied",
                  Fixed(row["ms"].get<double>(), 3)});
  }
  table.Print(std::cout);
  std::cout << "\n  fastest with the same bits everywhere: --threads " << tuning["threads"] << '\n';
  if (tuning["xnnpack_min_tokens"].is_null()) {
    std::cout << "  XNNPACK is not faster here at any number of tokens tried\n";
  } else {
    std::cout << "  fastest of all:                        --threads " << tuning["threads"]
              << " --no-deterministic --xnnpack-min-tokens " << tuning["xnnpack_min_tokens"] << '\n';
  }
}

}  // namespace tied::cli
