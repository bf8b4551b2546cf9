// tied_model_resident_bytes() and tied_model_trim() where /proc/self/pagemap may not be read.
#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>

#include "tests/runtime/model_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/launcher.h"

namespace tied::test {
namespace {

constexpr size_t kRows = 3000;
constexpr size_t kCols = 1024;  // 12 MB
constexpr int kSkip = 77;

bool MayReadPagemap() {
  const int descriptor = open("/proc/self/pagemap", O_RDONLY);
  if (descriptor >= 0) close(descriptor);
  return descriptor >= 0;
}

// What Android does to an app that is not debuggable. 0, or the exit code of the test.
int BecomeAnApp() {
  constexpr uid_t kNobody = 65534;
  if (geteuid() == 0 && setresuid(kNobody, kNobody, kNobody) != 0) {
    std::cerr << "root may not change its user id here, and root may always read pagemap" << std::flush;
    return kSkip;
  }
  if (prctl(PR_SET_DUMPABLE, 0) != 0) return 10;
  if (!MayReadPagemap()) return 0;
  std::cerr << "this system lets a process that is not dumpable read its pagemap" << std::flush;
  return kSkip;
}

uint64_t Resident(tied_model* model) {
  uint64_t bytes = UINT64_MAX;
  tied_error error = {};
  if (tied_model_resident_bytes(model, &bytes, &error) != TIED_OK) std::cerr << error.message << std::flush;
  return bytes;
}

// Reads the whole model (rows 0) or some of its rows.
bool Use(tied_model* model, size_t rows) {
  if (rows == 0) return tied_model_verify(model, nullptr) == TIED_OK;
  const SessionPtr session = MakeSession(model, 1);
  std::vector<int64_t> ids(rows);
  for (size_t i = 0; i < rows; ++i) ids[i] = static_cast<int64_t>(i * 977 % kRows);
  std::vector<float> embeddings(rows * kCols);
  return tied_embed(session.get(), ids.data(), rows, embeddings.data(), embeddings.size(), nullptr) == TIED_OK;
}

struct Case {
  const char* name;
  size_t lead;  // bytes in front of the model
  size_t rows;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class NotDumpable : public testing::TestWithParam<Case> {};

// The two files of /proc agree, and the second is enough for the whole life of a model.
TEST_P(NotDumpable, CountsAndTrimsAllTheSame) {
  const TemporaryFolder folder;
  const TestModel large(kRows, kCols);
  const std::string path = folder.Write("m.tied", std::string(GetParam().lead, '-') + large.File());
  const int descriptor = open(path.c_str(), O_RDONLY);
  const ChildOutcome outcome = RunInChild([&] {
    tied_model* model = nullptr;
    if (tied_model_open_fd(descriptor, GetParam().lead, 0, nullptr, &model, nullptr) != TIED_OK) return 1;
    if (!Use(model, GetParam().rows)) return 2;
    if (!MayReadPagemap()) return kSkip;
    const uint64_t by_page = Resident(model);
    if (const int code = BecomeAnApp()) return code;
    if (Resident(model) != by_page || by_page == 0) return 3;
    if (GetParam().rows == 0 && by_page < kRows * kCols * sizeof(float)) return 4;
    if (tied_model_trim(model, nullptr) != TIED_OK) return 5;
    if (Resident(model) != 0) return 6;
    if (!Use(model, GetParam().rows)) return 7;
    const uint64_t again = Resident(model);  // without the header, which is read once
    if (again == 0 || again > by_page || by_page - again > 65536) return 8;
    tied_model_close(model);
    return 0;
  });
  close(descriptor);
  if (outcome.exit_code == kSkip) GTEST_SKIP() << outcome.err;
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(Models, NotDumpable,
                         testing::Values(Case{"Whole", 0, 0}, Case{"WholeAsset", 5000, 0}, Case{"Rows", 0, 40},
                                         Case{"RowsOfAnAsset", 5000, 40}),
                         testing::PrintToStringParamName());

// Its mapping holds more than the model.
TEST(NotDumpable, AModelInMemoryCountsNoMoreThanItHas) {
  if (!Launcher().empty()) GTEST_SKIP() << "an emulator shows its own memory";
  const TestModel small(300, 1024);
  const std::string file = small.File();
  const ChildOutcome outcome = RunInChild([&] {
    const ModelPtr model = OpenMemory(file);
    if (const int code = BecomeAnApp()) return code;
    const uint64_t bytes = Resident(model.get());
    return bytes >= file.size() && bytes <= file.size() + 2 * 65536 ? 0 : 1;
  });
  if (outcome.exit_code == kSkip) GTEST_SKIP() << outcome.err;
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
}

}  // namespace
}  // namespace tied::test
