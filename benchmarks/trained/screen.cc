// Runs hidden states through a screen and prints a line of numbers for each; benchmarks/trained/run makes tables and a
// plot of them.
//   screen count MODEL.tied FLOAT32.tied HIDDEN THREADS    bytes and rows of every token
//   screen time MODEL.tied FLOAT32.tied HIDDEN THREADS     seconds of 15 of them, alone and with the next three
//   screen curve MODEL.tied FLOAT32.tied HIDDEN THREADS    rows and seconds of every token, beside a full pass
// HIDDEN: raw float32 [tokens, cols]. FLOAT32.tied: the table that is read for comparison.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tied/tied.hpp"
#include "tools/tied/bench/read_bandwidth.h"
#include "tools/tied/bench/timing.h"

namespace {

constexpr size_t kTopks[] = {1, 10, 40};
constexpr size_t kLogZTopk = 10;
constexpr size_t kFullTopk = 40;  // its best rows are compared with those of the others
constexpr size_t kTimedTokens = 15;
constexpr size_t kTokensOfCall = 4, kTopkOfCall = 10;
constexpr double kTolerance = 0.01;
constexpr std::chrono::milliseconds kLongestSpin(100);  // of pthreadpool's threads, which would slow down the reading

std::vector<float> ReadFloats(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  if (bytes.empty()) throw std::runtime_error(std::string(path) + " cannot be read");
  std::vector<float> floats(bytes.size() / sizeof(float));
  std::copy_n(bytes.data(), floats.size() * sizeof(float), reinterpret_cast<char*>(floats.data()));
  return floats;
}

tied::TopkOptions Options(bool screen, bool log_z) {
  tied::TopkOptions options;
  options.use_screen = screen;
  options.log_z = log_z;
  options.log_z_tolerance = log_z ? kTolerance : 0;
  return options;
}

// k, survivors, bytes; k is 0 for log_z.
void Count(tied::Session& session, tied::Span<const float> hidden) {
  for (const size_t k : kTopks) {
    const tied::TopkResult result = session.Topk(hidden, k, Options(true, false));
    std::printf("%zu %llu %llu\n", k, static_cast<unsigned long long>(result.survivors[0]),
                static_cast<unsigned long long>(result.bytes_read));
  }
  const tied::TopkResult result = session.Topk(hidden, kLogZTopk, Options(true, true));
  std::printf("0 0 %llu\n", static_cast<unsigned long long>(result.bytes_read));
}

// Seconds of reading, of the full pass, of each k, of log_z in a full pass and through the screen, and of several
// tokens likewise. hidden: kTokensOfCall tokens.
void Time(tied::Session& session, tied::Span<const float> hidden, tied::cli::Reader& reader,
          const tied_table_info& table, bool print) {
  std::vector<double> seconds;
  std::this_thread::sleep_for(kLongestSpin);
  seconds.push_back(reader.Read(table.data, table.values.length));
  tied::cli::LetThreadsSleep();
  const auto run_tokens = [&](size_t tokens, size_t k, const tied::TopkOptions& options) {
    const tied::cli::Stopwatch watch;
    tied::TopkResult result = session.Topk({hidden.data(), tokens * table.cols}, k, options);
    seconds.push_back(watch.Seconds());
    return result;
  };
  const auto run = [&](size_t k, const tied::TopkOptions& options) { return run_tokens(1, k, options); };
  tied::TopkResult full = run(kFullTopk, Options(false, false));
  // Another k each time: with the same one, the session might leave out a screen that did not help.
  for (const size_t k : kTopks) {
    const tied::TopkResult result = run(k, Options(true, false));
    if (!std::equal(result.ids.begin(), result.ids.end(), full.ids.begin()) ||
        !std::equal(result.logits.begin(), result.logits.end(), full.logits.begin())) {
      throw std::runtime_error("a result differs from that of the full pass");
    }
  }
  run(kLogZTopk, Options(false, true));
  run(kLogZTopk, Options(true, true));
  for (const bool screen : {false, true}) run_tokens(kTokensOfCall, kTopkOfCall, Options(screen, false));
  for (const double each : seconds) {
    if (print) std::printf("%.9f ", each);
  }
  if (print) std::printf("\n");
}

// k, survivors, and seconds through the screen and of a full pass.
void Curve(tied::Session& session, tied::Span<const float> hidden) {
  const auto run = [&](size_t k, bool screen, uint64_t* survivors) {
    const tied::cli::Stopwatch watch;
    const tied::TopkResult result = session.Topk(hidden, k, Options(screen, false));
    *survivors = result.survivors[0];
    return watch.Seconds();
  };
  uint64_t survivors = 0;
  const double full = run(kFullTopk, false, &survivors);
  for (const size_t k : kTopks) {
    const double seconds = run(k, true, &survivors);
    std::printf("%zu %llu %.9f %.9f\n", k, static_cast<unsigned long long>(survivors), seconds, full);
  }
}

void Run(const std::string& what, char** argv) {
  const tied::Model model = tied::Model::Open(argv[2]);
  const tied::Model plain = tied::Model::Open(argv[3]);
  const std::vector<float> hidden = ReadFloats(argv[4]);
  tied::SessionOptions options;
  options.threads = std::atoi(argv[5]);
  tied::Session session(model, options);
  const tied_table_info table = plain.HeadTable();
  const size_t cols = table.cols;
  const size_t tokens = hidden.size() / cols;
  const auto from = [&](size_t t, size_t count) {
    return tied::Span<const float>(hidden.data() + t * cols, count * cols);
  };
  if (what != "time") {
    for (size_t t = 0; t < tokens; ++t) what == "count" ? Count(session, from(t, 1)) : Curve(session, from(t, 1));
    return;
  }
  tied::cli::Reader reader(static_cast<size_t>(options.threads));
  reader.Calibrate(table.data, table.values.length);
  Time(session, from(0, kTokensOfCall), reader, table, false);
  for (size_t i = 0; i < kTimedTokens; ++i) {
    Time(session, from(i * (tokens - kTokensOfCall) / kTimedTokens, kTokensOfCall), reader, table, true);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc == 6 ? argv[1] : "";
  if (what != "count" && what != "time" && what != "curve") {
    std::fprintf(stderr, "usage: screen count|time|curve MODEL.tied FLOAT32.tied HIDDEN THREADS\n");
    return 2;
  }
  try {
    Run(what, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "screen: %s\n", error.what());
    return 1;
  }
  return 0;
}
