#include "tools/tied/bench/memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "tools/tied/bench/cases.h"
#include "tools/tied/bench/child_process.h"

namespace tied::cli {

namespace {

constexpr int kHeads = 10;

// Until a new file is on disk, its pages count as private and dirty in processes that map them.
void FlushToDisk(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return;  // opening the model reports the error
  fdatasync(file);
  close(file);
}

// The memory of one translating process: one model, one session, buffers for one token.
class OneToken {
 public:
  explicit OneToken(const CommonOptions& options)
      : options_(options), model_(Model::Open(options.model)), random_(kBenchSeed) {}

  void StartSession() { session_.emplace(model_, options_.session); }

  void Embed() {
    const tied_table_info table = model_.EmbeddingTable();
    session_->Embed(RandomIds(random_, kEmbedIds, table));
  }

  void Trim() { model_.Trim(); }

  void Topks() {
    const tied_table_info table = model_.HeadTable();
    const std::vector<float> hidden = RandomHidden(random_, static_cast<size_t>(table.cols));
    for (int i = 0; i < kHeads; ++i) session_->Topk(hidden, std::min<size_t>(10, static_cast<size_t>(table.rows)));
  }

  void Heads() {
    const tied_table_info table = model_.HeadTable();
    const std::vector<float> hidden = RandomHidden(random_, static_cast<size_t>(table.cols));
    logits_.resize(static_cast<size_t>(table.vocabulary));
    for (int i = 0; i < kHeads; ++i) session_->Logits(hidden, logits_);
  }

 private:
  const CommonOptions options_;
  Model model_;
  std::optional<Session> session_;
  Random random_;
  std::vector<float> logits_;
};

void ReportStages(const CommonOptions& options, Channel& parent) {
  MemoryStages stages;
  stages.before_open = ReadMemoryUse();
  OneToken process(options);
  stages.after_open = ReadMemoryUse();
  process.StartSession();
  stages.after_session = ReadMemoryUse();
  process.Embed();
  stages.after_embed = ReadMemoryUse();
  process.Heads();
  stages.after_heads = ReadMemoryUse();
  process.Trim();
  stages.after_trim = ReadMemoryUse();
  process.Topks();
  stages.after_topks = ReadMemoryUse();
  stages.peak_rss = ReadPeakRss();
  parent.Send(stages);
}

// Works, reports that, measures its memory when told to, and stays alive until the parent hangs up.
void ReportShare(const CommonOptions& options, Channel& parent) {
  OneToken process(options);
  process.StartSession();
  process.Embed();
  process.Heads();
  parent.Send(true);
  parent.Receive<bool>();
  parent.Send(ReadMemoryUse());
  parent.Receive<bool>();
}

}  // namespace

MemoryStages MeasureMemory(const CommonOptions& options) {
  FlushToDisk(options.model);
  ChildProcess child([&](Channel& parent) { ReportStages(options, parent); });
  return child.channel().Receive<MemoryStages>();
}

std::vector<MemoryUse> MeasureProcesses(const CommonOptions& options, size_t count) {
  FlushToDisk(options.model);
  std::vector<std::unique_ptr<ChildProcess>> children;
  for (size_t i = 0; i < count; ++i) {
    children.push_back(std::make_unique<ChildProcess>([&](Channel& parent) { ReportShare(options, parent); }));
  }
  for (const auto& child : children) child->channel().Receive<bool>();
  for (const auto& child : children) child->channel().Send(true);
  std::vector<MemoryUse> uses;
  for (const auto& child : children) uses.push_back(child->channel().Receive<MemoryUse>());
  for (const auto& child : children) child->channel().Send(true);
  return uses;
}

}  // namespace tied::cli
