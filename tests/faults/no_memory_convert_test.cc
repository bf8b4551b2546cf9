// Conversions in which an allocation fails: they throw, leave no file and nothing allocated, and the next conversion
// succeeds.
#include <sys/mman.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <vector>

#include "base/error.h"
#include "converter/model_reader.h"
#include "converter/output/plan.h"
#include "converter/output/writer.h"
#include "tests/converter/onnx_builder.h"
#include "tests/faults/address_space.h"
#include "tests/faults/failing_memory.h"
#include "tests/faults/small_models.h"
#include "tests/runtime/model_fixture.h"
#include "tests/support/child_process.h"

namespace tied::test {
namespace {

class NoMemoryToConvert : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_.Write("model.safetensors", SafetensorsFile());
    folder_.Write("config.json", kSafetensorsConfig);
    Save(MakeModel({}, folder_.Path("")), folder_.Path("model.onnx"));
    std::filesystem::create_directory(folder_.Path("out"));
  }

  converter::Graph Read() const { return converter::ReadModel(input_); }

  void Write(const converter::Graph& graph) const {
    const auto progress = [](uint64_t, uint64_t) {};
    converter::Plan plan = converter::MakePlan(graph, input_, /*allow_untied=*/false, progress);
    for (converter::TableEncoding& encoding : plan.encodings) encoding.screen = true;
    converter::WriteFile(plan, output_, progress);
  }

  std::string Output() const {
    std::ifstream file(output_, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  const TemporaryFolder folder_;
  const std::string input_ = folder_.Path(GetParam());
  const std::string output_ = folder_.Path("out/m.tied");
};

// True if `action` failed because memory ran out.
template <class Action>
bool RunsOut(const Action& action) {
  try {
    action();
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  } catch (const converter::ConvertError&) {
    return true;
  }
}

constexpr uint64_t kMostAllocations = 20000;

TEST_P(NoMemoryToConvert, WritingLeavesNothing) {
  const converter::Graph graph = Read();
  Write(graph);
  const std::string whole = Output();
  ASSERT_GT(whole.size(), 65536u);
  std::filesystem::remove(output_);
  bool failed = true;
  for (uint64_t number = 0; failed && !HasFailure(); ++number) {
    ASSERT_LT(number, kMostAllocations);
    SCOPED_TRACE("allocation " + std::to_string(number));
    const int64_t live = LiveAllocations();
    FailingMemory memory(number, /*only_one=*/true);
    const bool ran_out = RunsOut([&] { Write(graph); });
    memory.Stop();
    failed = FailingMemory::Failed();
    EXPECT_EQ(LiveAllocations(), live);
    if (!ran_out) {
      EXPECT_EQ(Output(), whole);
      std::filesystem::remove(output_);
    }
    EXPECT_TRUE(std::filesystem::is_empty(folder_.Path("out")));
  }
  Write(graph);
  EXPECT_EQ(Output(), whole);
}

// protobuf may leak what it has parsed so far, and nlohmann::json ends the program when memory runs out in a
// destructor. No file is open for writing at that time.
TEST_P(NoMemoryToConvert, ReadingEndsInAnException) {
  const bool may_end = std::string(GetParam()) == "model.safetensors";
  void* shared = mmap(nullptr, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto& number = *static_cast<uint64_t*>(shared);
  ChildOutcome outcome;
  do {
    outcome = RunInChild([&] {
      for (; number < kMostAllocations; ++number) {
        FailingMemory memory(number, /*only_one=*/true);
        const bool ran_out = RunsOut([&] { Read(); });
        memory.Stop();
        if (FailingMemory::Failed()) continue;
        Write(Read());
        return ran_out || Output().empty() ? 1 : 0;
      }
      return 2;
    });
    const bool ended = outcome.signal == SIGABRT && outcome.err.find("bad_alloc") != std::string::npos;
    ASSERT_TRUE(outcome.exit_code == 0 || (may_end && ended))
        << "allocation " << number << ": " << outcome.exit_code << ", signal " << outcome.signal << outcome.err;
    ++number;
  } while (outcome.exit_code != 0);
  munmap(shared, sizeof(uint64_t));
}

#if !defined(TIED_TEST_EMULATED)  // an emulator does not pass on limits

TEST_P(NoMemoryToConvert, WithoutAddressSpaceLeavesNothing) {
  constexpr size_t kBlock = 16 * 1024;
  const converter::Graph graph = Read();
  const ChildOutcome outcome = RunInChild([&] {
    int failed = 0;
    for (const size_t free_blocks : {0, 2, 10, 50, 250, 1000}) {
      std::vector<std::unique_ptr<char[]>> all(10000);
      if (!LimitAddressSpace(kBlock * 2000)) return 2;
      size_t count = 0;
      do all[count].reset(new (std::nothrow) char[kBlock]);
      while (all[count] != nullptr && ++count < all.size());
      for (size_t i = 0; i < free_blocks; ++i) all[i].reset();
      const bool ran_out = RunsOut([&] { Write(graph); });
      UnlimitAddressSpace();
      if (ran_out != std::filesystem::is_empty(folder_.Path("out"))) return 3;
      std::filesystem::remove(output_);
      failed += ran_out ? 1 : 0;
    }
    Write(graph);
    return failed > 0 && !Output().empty() ? 0 : 4;
  });
  EXPECT_EQ(outcome.exit_code, 0) << "signal " << outcome.signal << outcome.err;
}

#endif

INSTANTIATE_TEST_SUITE_P(Formats, NoMemoryToConvert, testing::Values("model.onnx", "model.safetensors"),
                         [](const auto& test) { return std::string(test.param).substr(6); });

}  // namespace
}  // namespace tied::test
