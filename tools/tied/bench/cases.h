// The cases of `tied bench`. Each has a function that returns the seconds of one run.
#ifndef TIED_TOOLS_TIED_BENCH_CASES_H_
#define TIED_TOOLS_TIED_BENCH_CASES_H_

#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tools/tied/bench/read_bandwidth.h"
#include "tools/tied/options.h"

namespace tied::cli {

inline constexpr uint64_t kBenchSeed = 20240229;
inline constexpr size_t kEmbedIds = 128;

using Random = std::mt19937_64;
// Ids that have a row.
std::vector<int64_t> RandomIds(Random& random, size_t count, const tied_table_info& table);
// Normally distributed, mean 0, deviation 1.
std::vector<float> RandomHidden(Random& random, size_t count);

struct BenchOptions : CommonOptions {
  std::vector<size_t> tokens = {1, 4, 16, 64};
  int repeat = 15;
  size_t processes = 0;
  bool quick = false;
  bool kernels = false;
  bool tune = false;
};

// Figures that do not apply are empty.
struct Case {
  std::string name;  // read, head, topk, embed, memcpy, open
  std::optional<size_t> tokens;
  std::optional<size_t> threads;
  std::optional<bool> deterministic;
  std::optional<size_t> k;
  std::optional<bool> screen;
  std::optional<double> bytes;  // of the file, read by one run
  std::optional<double> flops;
  std::function<double()> run;
  std::vector<double> seconds;  // one per repeat
};

// Owns the model, the sessions, the reading threads and the buffers that the cases share.
class Bench {
 public:
  explicit Bench(const BenchOptions& options);
  Bench(const Bench&) = delete;
  Bench& operator=(const Bench&) = delete;
  ~Bench() = default;

  // Runs every case once to warm up, then every case once per repeat, so that changes in the machine's speed affect all
  // cases.
  void Run();

  const std::vector<Case>& cases() const { return cases_; }
  const Model& model() const { return model_; }
  // Bytes of the planes that a pass over the table reads.
  size_t table_bytes() const;
  const tied_table_info& table() const { return table_; }
  // The largest number of threads measured.
  size_t threads() const { return threads_; }
  const char* read_loop() const { return readers_.back()->loop_name(); }

 private:
  void AddRead(size_t threads);
  Session& AddSession(size_t threads, bool deterministic);
  void AddHead(Session& session, size_t tokens, bool deterministic);
  void AddTopks(Session& session);
  void AddTopk(Session& session, size_t tokens, size_t k, bool screen);
  void AddEmbed(Session& session);
  void AddMemcpy();
  void AddOpen();

  const BenchOptions options_;
  Model model_;
  tied_table_info table_;
  size_t threads_;
  std::vector<std::unique_ptr<Reader>> readers_;
  std::vector<std::unique_ptr<Session>> sessions_;
  Random random_;
  std::vector<float> hidden_;
  std::vector<float> logits_;
  std::vector<float> embeddings_;
  std::vector<Case> cases_;
};

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_CASES_H_
