// tied_model_prefetch(): what is in the page cache afterwards, progress, and how it ends early.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <tied/tied.hpp>

#include "tests/runtime/model_fixture.h"
#include "tests/support/child_process.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

constexpr size_t kRows = 12000;
constexpr size_t kCols = 512;  // 24.6 MB of float32

using Steps = std::vector<std::pair<uint64_t, uint64_t>>;

// A file that is on its storage and not in the page cache.
class ColdFile {
 public:
  explicit ColdFile(const std::string& bytes) : path_(folder_.Write("m.tied", bytes)), size_(bytes.size()) { Drop(); }

  void Drop() const {
    const int descriptor = open(path_.c_str(), O_RDWR);
    fsync(descriptor);
    posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED);
    close(descriptor);
  }

  // The share of the pages of a range that are cached, as mincore() tells the file's owner.
  double Cached(size_t offset, size_t length) const {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const int descriptor = open(path_.c_str(), O_RDWR);
    void* mapping = mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
    std::vector<unsigned char> cached((size_ + page - 1) / page);
    EXPECT_EQ(mincore(mapping, size_, cached.data()), 0);
    munmap(mapping, size_);
    close(descriptor);
    size_t count = 0;
    const size_t first = offset / page, end = (offset + length + page - 1) / page;
    for (size_t i = first; i < end; ++i) count += cached[i] & 1;
    return static_cast<double>(count) / static_cast<double>(end - first);
  }
  double Cached(const tied_plane_info& plane) const {
    return Cached(static_cast<size_t>(plane.offset), static_cast<size_t>(plane.length));
  }
  double Cached() const { return Cached(0, size_); }

  const std::string& path() const { return path_; }
  size_t size() const { return size_; }

 private:
  const TemporaryFolder folder_;
  const std::string path_;
  const size_t size_;
};

std::string ModelBytes(bool screened) {
  RandomModel model(kRows, kCols);
  TiedFile file = model.MakeFile();
  if (screened) AddScreen(&file, kRows, kCols, model.values());
  return file.Bytes();
}

void ExpectWhole(const Steps& steps, uint64_t least) {
  ASSERT_GE(steps.size(), 2u);
  EXPECT_EQ(steps.front().first, 0u);
  EXPECT_EQ(steps.back().first, steps.back().second);
  EXPECT_GE(steps.back().first, least);
  for (size_t i = 1; i < steps.size(); ++i) {
    EXPECT_GT(steps[i].first, steps[i - 1].first);
    EXPECT_LE(steps[i].first - steps[i - 1].first, uint64_t{4} << 20);
    EXPECT_EQ(steps[i].second, steps[0].second);
  }
}

class ColdModel : public testing::TestWithParam<bool> {};

TEST_P(ColdModel, CachesWhatATopkReads) {
  const bool screened = GetParam();
  const ColdFile file(ModelBytes(screened));
  if (file.Cached() > 0.1) GTEST_SKIP() << "this file system does not drop cached pages";
  const Model model = Model::Open(file.path());
  Steps steps;
  const auto progress = [&](uint64_t done, uint64_t total) {
    steps.emplace_back(done, total);
    return true;
  };
  model.Prefetch(progress);
  const tied_table_info table = model.HeadTable();
  EXPECT_EQ(file.Cached(screened ? table.screen_upper : table.values), 1);
  if (screened) {
    EXPECT_EQ(file.Cached(table.screen_scales), 1);
    EXPECT_EQ(file.Cached(table.screen_upper_norms), 1);
    EXPECT_LT(file.Cached(table.values), 0.9) << "more than the system reads ahead around the header";
  }
  ExpectWhole(steps, (screened ? table.screen_upper : table.values).length);
  steps.clear();
  model.Prefetch(progress, /*everything=*/true);
  EXPECT_EQ(file.Cached(), 1);
  ExpectWhole(steps, file.size());
}

INSTANTIATE_TEST_SUITE_P(Screen, ColdModel, testing::Bool());

TEST(Prefetch, EndsWhenTheCallbackSaysSo) {
  const ColdFile file(ModelBytes(false));
  const bool is_cold = file.Cached() <= 0.1;
  const Model model = Model::Open(file.path());
  for (const size_t wanted : {size_t{1}, size_t{2}}) {
    Steps steps;
    try {
      model.Prefetch([&](uint64_t done, uint64_t total) {
        steps.emplace_back(done, total);
        return steps.size() < wanted;
      });
      ADD_FAILURE() << "was not stopped";
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), TIED_CANCELLED);
    }
    EXPECT_EQ(steps.size(), wanted);
  }
  if (is_cold) {
    EXPECT_LT(file.Cached(), 0.9);
  }
  EXPECT_THROW(model.Prefetch([](uint64_t, uint64_t) -> bool { throw std::out_of_range("mine"); }), std::out_of_range);
}

TEST(Prefetch, NeedsNoDescriptor) {
  const ColdFile file(ModelBytes(false));
  const ChildOutcome outcome = RunInChild([&] {
    const int descriptor = open(file.path().c_str(), O_RDONLY);
    const rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NOFILE, &none) != 0) return 1;
    tied_model* model = nullptr;
    if (tied_model_open_fd(descriptor, 0, 0, nullptr, &model, nullptr) != TIED_OK) return 2;
    return tied_model_prefetch(model, nullptr, nullptr, nullptr, nullptr) == TIED_OK ? 0 : 3;
  });
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_GT(file.Cached(), 0.9);
}

TEST(Prefetch, ATruncatedFileIsAnError) {
  const ColdFile file(ModelBytes(false));
  const Model model = Model::Open(file.path());
  ASSERT_EQ(truncate(file.path().c_str(), static_cast<off_t>(file.size() / 2)), 0);
  tied_error error = {};
  EXPECT_EQ(tied_model_prefetch(model.get(), nullptr, nullptr, nullptr, &error), TIED_IO_ERROR);
  EXPECT_NE(std::string(error.message).find("truncated"), std::string::npos) << error.message;
}

TEST(Prefetch, MemoryHasProgressOnly) {
  const TestModel small(19, 6);
  const std::string file = small.File();
  const ModelPtr model = OpenMemory(file);
  uint64_t done = 0;
  const auto callback = [](void* user, uint64_t now, uint64_t) {
    *static_cast<uint64_t*>(user) = now;
    return 0;
  };
  EXPECT_EQ(tied_model_prefetch(model.get(), nullptr, callback, &done, nullptr), TIED_OK);
  EXPECT_EQ(done, (19 * 6 + 19) * sizeof(float));
}

TEST(Prefetch, RefusesNullsAndOptionsWithoutASize) {
  EXPECT_EQ(tied_model_prefetch(nullptr, nullptr, nullptr, nullptr, nullptr), TIED_INVALID_ARGUMENT);
  const TestModel small(19, 6);
  const std::string file = small.File();
  const ModelPtr model = OpenMemory(file);
  const tied_prefetch_options options = {};
  EXPECT_EQ(tied_model_prefetch(model.get(), &options, nullptr, nullptr, nullptr), TIED_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace tied::test
