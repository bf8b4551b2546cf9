// Memory that a model takes according to the kernel, at a fifth of NLLB-200's size.
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <iostream>
#include <limits>
#include <sstream>

#include "tests/runtime/model_fixture.h"
#include "tests/support/child_process.h"

namespace tied::test {
namespace {

constexpr size_t kMiB = 1u << 20;
constexpr size_t kRows = 51200;
constexpr size_t kCols = 1024;
constexpr size_t kTableBytes = kRows * kCols * sizeof(float);  // 200 MiB

struct Usage {
  size_t resident = 0;
  size_t private_dirty = 0;
  size_t anonymous = 0;
};

Usage ReadUsage() {
  std::ifstream file("/proc/self/smaps_rollup");
  Usage usage;
  for (std::string line; std::getline(file, line);) {
    size_t kib = 0;
    if (std::sscanf(line.c_str(), "Rss: %zu", &kib) == 1) usage.resident = kib * 1024;
    if (std::sscanf(line.c_str(), "Private_Dirty: %zu", &kib) == 1) usage.private_dirty = kib * 1024;
    if (std::sscanf(line.c_str(), "Anonymous: %zu", &kib) == 1) usage.anonymous = kib * 1024;
  }
  return usage;
}

// Writes the file with planes of zeros as a sparse file.
std::string WriteSparse(const TemporaryFolder& folder, const TiedFile& file, uint64_t length) {
  flatbuffers::FlatBufferBuilder builder;
  format::FinishHeaderBuffer(builder, format::CreateHeader(builder, &file.header));
  const std::string flatbuffer(reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize());
  const std::string path = folder.Write("large.tied", WithPreamble(flatbuffer, length));
  EXPECT_EQ(truncate(path.c_str(), static_cast<off_t>(length)), 0);
  return path;
}

// A file with one table of zeros: sparse on disk, but its pages take memory once they are read.
std::string WriteLargeModel(const TemporaryFolder& folder) {
  const TestModel small(2, kCols);
  TiedFile file = small.MakeFile();
  file.header.tables[0]->rows = kRows;
  file.header.tables[0]->values = std::make_unique<format::Plane>(65536, kTableBytes, 0);
  file.header.entry_points[1]->ops[0]->operation.AsHead()->bias = nullptr;
  file.header.outputs[1]->dims[2]->size = kRows;
  return WriteSparse(folder, file, 65536 + kTableBytes);
}

// The same with a screen, and a bias that makes a few rows the best.
std::string WriteScreenedModel(const TemporaryFolder& folder) {
  constexpr size_t kPlaneBytes = kRows * kCols / 2;
  constexpr size_t kVectorBytes = kRows * sizeof(float);
  static_assert(kTableBytes % 65536 == 0 && kPlaneBytes % 65536 == 0);
  uint64_t end = 65536;
  const auto place = [&](size_t bytes) {
    const format::Plane plane(end, bytes, 0);
    end += (bytes + 65535) / 65536 * 65536;
    return std::make_unique<format::Plane>(plane);
  };
  const TestModel small(2, kCols);
  TiedFile file = small.MakeFile();
  format::TiedTableT& table = *file.header.tables[0];
  table.rows = kRows;
  table.values = place(kTableBytes);
  table.screen = std::make_unique<format::ScreenT>();
  table.screen->upper = place(kPlaneBytes);
  table.screen->lower = place(kPlaneBytes);
  table.screen->scales = place(kVectorBytes);
  table.screen->upper_norms = place(kVectorBytes);
  table.screen->norms = place(kVectorBytes);
  file.header.entry_points[1]->ops[0]->operation.AsHead()->bias = place(kVectorBytes);
  file.header.outputs[1]->dims[2]->size = kRows;
  const std::string path = WriteSparse(folder, file, end);
  std::fstream planes(path, std::ios::in | std::ios::out | std::ios::binary);
  const auto fill = [&](const format::Plane& plane, const std::function<float(size_t)>& value) {
    std::vector<float> values(kRows);
    for (size_t r = 0; r < kRows; ++r) values[r] = value(r);
    planes.seekp(static_cast<std::streamoff>(plane.offset()));
    planes.write(reinterpret_cast<const char*>(values.data()), kVectorBytes);
  };
  fill(*table.screen->scales, [](size_t) { return 0x1p-60f; });
  fill(*file.header.entry_points[1]->ops[0]->operation.AsHead()->bias,
       [](size_t r) { return static_cast<float>(r * 7919 % kRows); });
  return path;
}

// Runs `body` in a separate process, so that only its memory counts. `body` returns an error message, or "".
void ExpectInChild(const std::function<std::string()>& body) {
  const ChildOutcome outcome = RunInChild([&] {
    const std::string wrong = body();
    std::cerr << wrong << std::flush;
    return wrong.empty() ? 0 : 1;
  });
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

std::string Exceeds(const char* what, size_t bytes, size_t limit) {
  if (bytes <= limit) return "";
  std::ostringstream text;
  text << what << " is " << bytes / 1024 << " KiB, more than " << limit / 1024 << "; ";
  return text.str();
}

size_t Growth(size_t before, size_t now) { return now > before ? now - before : 0; }

class Memory : public testing::Test {
 protected:
  void SetUp() override {
#if defined(TIED_TEST_SANITIZED)
    GTEST_SKIP() << "a sanitizer uses additional memory";
#endif
    if (!std::ifstream("/proc/self/smaps_rollup").good()) GTEST_SKIP() << "this kernel has no smaps_rollup";
  }
};

TEST_F(Memory, OneCopyOfTheTableAndNoMore) {
  const TemporaryFolder folder;
  const std::string path = WriteLargeModel(folder);
  ExpectInChild([&]() -> std::string {
    const Usage start = ReadUsage();
    tied_model* model = nullptr;
    if (tied_model_open(path.c_str(), nullptr, &model, nullptr) != TIED_OK) return "open failed";
    const Usage opened = ReadUsage();
    tied_session* session = nullptr;
    tied_session_options options = TIED_SESSION_OPTIONS_INIT;
    options.threads = 2;
    if (tied_session_create(model, &options, &session, nullptr) != TIED_OK) return "no session";
    std::vector<float> hidden(kCols, 1.0f), logits(kRows), embeddings(128 * kCols);
    std::vector<int64_t> ids(128);
    for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int64_t>(i * 397);
    if (tied_embed(session, ids.data(), ids.size(), embeddings.data(), embeddings.size(), nullptr)) return "embed";
    for (int i = 0; i < 10; ++i) {
      if (tied_logits(session, hidden.data(), 1, logits.data(), logits.size(), nullptr)) return "logits";
    }
    const Usage run = ReadUsage();
    if (tied_model_trim(model, nullptr)) return "trim";
    const Usage trimmed = ReadUsage();
    tied_session_destroy(session);
    tied_model_close(model);
    return Exceeds("resident growth at open", Growth(start.resident, opened.resident), 4 * kMiB) +
           Exceeds("resident growth after ten heads", Growth(start.resident, run.resident), kTableBytes + 16 * kMiB) +
           Exceeds("private dirty growth", Growth(start.private_dirty, run.private_dirty), 12 * kMiB) +
           Exceeds("the table that was not read", Growth(run.resident, start.resident + kTableBytes), 0) +
           Exceeds("resident growth after trimming", Growth(start.resident, trimmed.resident), 16 * kMiB);
  });
}

TEST_F(Memory, ATopkThroughAScreenLeavesTheTableWhereItIs) {
  const TemporaryFolder folder;
  const std::string path = WriteScreenedModel(folder);
  std::ifstream(path, std::ios::binary)
      .ignore(std::numeric_limits<std::streamsize>::max());  // Linux maps what is cached around a row
  ExpectInChild([&]() -> std::string {
    const Usage start = ReadUsage();
    tied_model* model = nullptr;
    tied_session* session = nullptr;
    if (tied_model_open(path.c_str(), nullptr, &model, nullptr) != TIED_OK) return "open failed";
    if (tied_session_create(model, nullptr, &session, nullptr) != TIED_OK) return "no session";
    const std::vector<float> hidden(kCols, 1.0f);
    std::vector<int64_t> ids(10);
    std::vector<uint8_t> allowed(kRows / 8, 0xFF);
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.allowed = allowed.data();
    options.allowed_bytes = allowed.size();
    const tied_topk_result result = {ids.data(), nullptr, nullptr, nullptr, nullptr, nullptr};
    int64_t best = -1;
    // Each call finds different rows.
    for (int i = 0; i < 40; ++i) {
      if (tied_topk_with(session, hidden.data(), 1, 10, &options, &result, nullptr)) return "topk";
      if (i == 0) best = ids[0];
      for (const int64_t id : ids) allowed[static_cast<size_t>(id) / 8] &= static_cast<uint8_t>(~(1u << id % 8));
    }
    const Usage run = ReadUsage();
    tied_session_destroy(session);
    tied_model_close(model);
    return (best * 7919 % int64_t{kRows} == int64_t{kRows} - 1 ? "" : "another row is the best; ") +
           Exceeds("resident growth", Growth(start.resident, run.resident), kTableBytes / 4 + 8 * kMiB);
  });
}

struct AnonymousCase {
  const char* name;
  std::string (*write)(const TemporaryFolder& folder);
  bool copy;
};

void PrintTo(const AnonymousCase& c, std::ostream* out) { *out << c.name; }

class AnonymousMemory : public Memory, public testing::WithParamInterface<AnonymousCase> {};

// What the system cannot take back and counts against an app: little, or with `copy` the whole table.
TEST_P(AnonymousMemory, OfAGreedyDecode) {
  const TemporaryFolder folder;
  const std::string path = GetParam().write(folder);
  ExpectInChild([&]() -> std::string {
    const Usage start = ReadUsage();
    tied_open_options options = TIED_OPEN_OPTIONS_INIT;
    options.copy = GetParam().copy;
    tied_model* model = nullptr;
    if (tied_model_open(path.c_str(), &options, &model, nullptr) != TIED_OK) return "open failed";
    const SessionPtr session = MakeSession(model, 2);
    std::vector<float> hidden(kCols);
    int64_t id = 2;
    for (int i = 0; i < 5; ++i) {
      if (tied_embed(session.get(), &id, 1, hidden.data(), kCols, nullptr) != TIED_OK) return "embed";
      if (tied_argmax(session.get(), hidden.data(), 1, &id, nullptr, nullptr) != TIED_OK) return "argmax";
    }
    const size_t growth = Growth(start.anonymous, ReadUsage().anonymous);
    tied_model_close(model);
    return GetParam().copy ? Exceeds("the copied table", kTableBytes, growth)
                           : Exceeds("anonymous growth", growth, 4 * kMiB);
  });
}

INSTANTIATE_TEST_SUITE_P(All, AnonymousMemory,
                         testing::Values(AnonymousCase{"mapped", WriteLargeModel, false},
                                         AnonymousCase{"mapped_screen", WriteScreenedModel, false},
                                         AnonymousCase{"copied", WriteLargeModel, true}),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace tied::test
