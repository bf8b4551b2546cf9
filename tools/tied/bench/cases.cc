#include "tools/tied/bench/cases.h"

#include <algorithm>
#include <cstring>

#include "tools/tied/bench/timing.h"

namespace tied::cli {

namespace {

// Calls of a few microseconds are timed in groups.
constexpr int kSmallCalls = 32;

size_t RowBytes(const tied_table_info& table) { return static_cast<size_t>(table.values.length / table.rows); }

std::vector<int64_t> RandomRows(Random& random, size_t count, uint64_t rows) {
  std::uniform_int_distribution<int64_t> any(0, static_cast<int64_t>(rows) - 1);
  std::vector<int64_t> chosen(count);
  for (int64_t& row : chosen) row = any(random);
  return chosen;
}

// Mean seconds of `call`, each time with new ids from `make`, so that rows come from memory and not from a cache that
// the previous call has filled.
template <typename Make, typename Call>
double TimeOnFreshIds(const Make& make, const Call& call) {
  std::vector<std::vector<int64_t>> ids;
  for (int i = 0; i < kSmallCalls; ++i) ids.push_back(make());
  const Stopwatch watch;
  for (const auto& some : ids) call(some);
  return watch.Seconds() / kSmallCalls;
}

}  // namespace

std::vector<int64_t> RandomIds(Random& random, size_t count, const tied_table_info& table) {
  std::vector<int64_t> ids = RandomRows(random, count, table.rows);
  for (int64_t& id : ids) id = table.id_of_row == nullptr ? id : table.id_of_row[id];
  return ids;
}

std::vector<float> RandomHidden(Random& random, size_t count) {
  std::normal_distribution<float> normal;
  std::vector<float> hidden(count);
  for (float& value : hidden) value = normal(random);
  return hidden;
}

Bench::Bench(const BenchOptions& options)
    : options_(options),
      model_(Model::Open(options.model)),
      table_(model_.HeadTable()),
      threads_(Session(model_, options.session).Threads()),
      random_(kBenchSeed) {
  const size_t most = *std::max_element(options_.tokens.begin(), options_.tokens.end());
  hidden_ = RandomHidden(random_, most * static_cast<size_t>(table_.cols));
  logits_.resize(most * static_cast<size_t>(table_.vocabulary));
  // A row with few columns may have more bytes than its embedding.
  const tied_table_info embedded = model_.EmbeddingTable();
  const size_t floats = std::max(static_cast<size_t>(embedded.cols), RowBytes(embedded) / sizeof(float) + 1);
  embeddings_.resize(kEmbedIds * floats);

  std::vector<size_t> thread_counts = {1};
  if (threads_ != 1) thread_counts.push_back(threads_);
  for (const size_t count : thread_counts) AddRead(count);
  for (const size_t count : thread_counts) {
    for (const bool deterministic : {true, false}) {
      Session& session = AddSession(count, deterministic);
      for (const size_t tokens : options_.tokens) AddHead(session, tokens, deterministic);
      if (!deterministic) continue;
      AddTopks(session);
      AddEmbed(session);
    }
  }
  AddMemcpy();
  AddOpen();
}

void Bench::AddRead(size_t threads) {
  readers_.push_back(std::make_unique<Reader>(threads));
  Reader* reader = readers_.back().get();
  const size_t bytes = static_cast<size_t>(table_.values.length);
  reader->Calibrate(table_.data, bytes);
  Case read;
  read.name = "read";
  read.threads = threads;
  read.bytes = static_cast<double>(table_bytes());
  // Scales and zero points are few bytes beside the values, and take as long as these.
  const double whole = *read.bytes / static_cast<double>(bytes);
  read.run = [this, reader, bytes, whole] { return reader->Read(table_.data, bytes) * whole; };
  cases_.push_back(std::move(read));
}

Session& Bench::AddSession(size_t threads, bool deterministic) {
  SessionOptions session;
  session.threads = static_cast<int32_t>(threads);
  session.deterministic = deterministic;
  sessions_.push_back(std::make_unique<Session>(model_, session));
  return *sessions_.back();
}

void Bench::AddHead(Session& session, size_t tokens, bool deterministic) {
  const size_t hidden_size = tokens * static_cast<size_t>(table_.cols);
  const size_t logits_size = tokens * static_cast<size_t>(table_.vocabulary);
  Case head;
  head.name = "head";
  head.tokens = tokens;
  head.threads = session.Threads();
  head.deterministic = deterministic;
  head.bytes = static_cast<double>(table_bytes());
  head.flops = 2.0 * static_cast<double>(hidden_size) * static_cast<double>(table_.rows);
  head.run = [this, &session, hidden_size, logits_size] {
    const Stopwatch watch;
    session.Logits({hidden_.data(), hidden_size}, {logits_.data(), logits_size});
    return watch.Seconds();
  };
  cases_.push_back(std::move(head));
}

void Bench::AddTopks(Session& session) {
  const size_t most = *std::max_element(options_.tokens.begin(), options_.tokens.end());
  for (const bool screen : {false, true}) {
    if (screen && table_.screen_upper.length == 0) continue;
    for (const size_t k : {size_t{1}, size_t{10}}) {
      if (k > table_.rows) continue;
      for (const size_t tokens : {size_t{1}, size_t{4}}) {
        if (tokens <= most) AddTopk(session, tokens, k, screen);
      }
    }
  }
}

void Bench::AddTopk(Session& session, size_t tokens, size_t k, bool screen) {
  const Span<const float> hidden = {hidden_.data(), tokens * static_cast<size_t>(table_.cols)};
  TopkOptions options;
  options.use_screen = screen;
  Case topk;
  topk.name = "topk";
  topk.tokens = tokens;
  topk.threads = session.Threads();
  topk.deterministic = true;
  topk.k = k;
  topk.screen = screen;
  topk.bytes = static_cast<double>(session.Topk(hidden, k, options).bytes_read);
  topk.run = [&session, hidden, k, options] {
    const Stopwatch watch;
    session.Topk(hidden, k, options);
    return watch.Seconds();
  };
  cases_.push_back(std::move(topk));
}

size_t Bench::table_bytes() const {
  return static_cast<size_t>(table_.values.length + table_.scales.length + table_.zero_points.length);
}

void Bench::AddEmbed(Session& session) {
  Case embed;
  embed.name = "embed";
  embed.tokens = kEmbedIds;
  embed.threads = session.Threads();
  embed.deterministic = true;
  embed.bytes = static_cast<double>(embeddings_.size() * sizeof(float));
  embed.run = [this, &session] {
    return TimeOnFreshIds([&] { return RandomIds(random_, kEmbedIds, model_.EmbeddingTable()); },
                          [&](const std::vector<int64_t>& ids) { session.Embed(ids, embeddings_); });
  };
  cases_.push_back(std::move(embed));
}

void Bench::AddMemcpy() {
  Case copy;
  copy.name = "memcpy";
  copy.tokens = kEmbedIds;
  copy.threads = 1;
  const tied_table_info table = model_.EmbeddingTable();
  const size_t row_bytes = RowBytes(table);
  copy.bytes = static_cast<double>(kEmbedIds * row_bytes);
  copy.run = [this, table, row_bytes] {
    const auto* rows = static_cast<const char*>(table.data);
    auto* to = reinterpret_cast<char*>(embeddings_.data());
    return TimeOnFreshIds([&] { return RandomRows(random_, kEmbedIds, table.rows); },
                          [&](const std::vector<int64_t>& chosen) {
                            for (size_t i = 0; i < chosen.size(); ++i) {
                              const auto row = static_cast<size_t>(chosen[i]);
                              std::memcpy(to + i * row_bytes, rows + row * row_bytes, row_bytes);
                            }
                          });
  };
  cases_.push_back(std::move(copy));
}

void Bench::AddOpen() {
  Case open;
  open.name = "open";
  open.run = [this] {
    const Stopwatch watch;
    Model::Open(options_.model);  // and closes it
    return watch.Seconds();
  };
  cases_.push_back(std::move(open));
}

void Bench::Run() {
  for (int pass = 0; pass <= options_.repeat; ++pass) {
    for (Case& each : cases_) {
      LetThreadsSleep();
      const double seconds = each.run();
      if (pass > 0) each.seconds.push_back(seconds);
    }
  }
}

}  // namespace tied::cli
