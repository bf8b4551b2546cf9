// Ways to open a model, and errors before anything is read.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "tests/runtime/model_fixture.h"

namespace tied::test {
namespace {

const TestModel kModel(19, 6);

void ExpectRuns(tied_model* model) {
  const SessionPtr session = MakeSession(model, 1);
  const std::vector<float> hidden = ExactHidden(2 * kModel.cols());
  std::vector<float> logits(2 * kModel.rows());
  tied_error error = {};
  EXPECT_EQ(tied_logits(session.get(), hidden.data(), 2, logits.data(), logits.size(), &error), TIED_OK)
      << error.message;
  EXPECT_EQ(logits, kModel.Logits(hidden));
}

TEST(Open, ByPath) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("m.tied", kModel.File());
  tied_model* model = nullptr;
  ASSERT_EQ(tied_model_open(path.c_str(), nullptr, &model, nullptr), TIED_OK);
  ExpectRuns(ModelPtr(model).get());
}

TEST(Open, ByDescriptorAtAnOffsetThatIsNotPageAlignedAndClosedBehind) {
  const TemporaryFolder folder;
  for (const size_t offset : {0u, 4u, 4092u, 65536u, 70004u}) {
    const std::string file = kModel.File();
    const std::string path = folder.Write("asset", std::string(offset, 'x') + file + "behind");
    const int descriptor = open(path.c_str(), O_RDONLY);
    tied_model* model = nullptr;
    tied_error error = {};
    ASSERT_EQ(tied_model_open_fd(descriptor, offset, file.size(), nullptr, &model, &error), TIED_OK) << error.message;
    close(descriptor);
    unlink(path.c_str());
    ExpectRuns(ModelPtr(model).get());
  }
}

TEST(Open, ByDescriptorUpToTheEndWithLengthZero) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("m.tied", "1234" + kModel.File());
  const int descriptor = open(path.c_str(), O_RDONLY);
  tied_model* model = nullptr;
  EXPECT_EQ(tied_model_open_fd(descriptor, 4, 0, nullptr, &model, nullptr), TIED_OK);
  close(descriptor);
  ExpectRuns(ModelPtr(model).get());
}

TEST(Open, FromMemory) {
  const std::string file = kModel.File();
  ExpectRuns(OpenMemory(file).get());
  tied_model* model = nullptr;
  EXPECT_EQ(tied_model_open_memory(file.data() + 1, file.size() - 1, nullptr, &model, nullptr), TIED_INVALID_ARGUMENT);
}

TEST(Open, ASessionOutlivesTheHandleOfItsModel) {
  const std::string file = kModel.File();
  ModelPtr model = OpenMemory(file);
  const SessionPtr session = MakeSession(model.get(), 1);
  model.reset();
  const int64_t id = 3;
  std::vector<float> embedding(kModel.cols());
  EXPECT_EQ(tied_embed(session.get(), &id, 1, embedding.data(), embedding.size(), nullptr), TIED_OK);
  EXPECT_EQ(embedding, kModel.Embed({3}));
}

TEST(Open, OffsetsOutsideTheFileAreInvalid) {
  const TemporaryFolder folder;
  const std::string file = kModel.File();
  const std::string path = folder.Write("m.tied", file);
  const int descriptor = open(path.c_str(), O_RDONLY);
  const struct {
    uint64_t offset, length;
    tied_status status;
  } cases[] = {{2, 100, TIED_INVALID_ARGUMENT},
               {0, file.size() + 1, TIED_INVALID_ARGUMENT},
               {UINT64_MAX - 3, 8, TIED_INVALID_ARGUMENT},
               {4, UINT64_MAX, TIED_INVALID_ARGUMENT},
               {(file.size() + 3) / 4 * 4, 0, TIED_CORRUPT}};
  for (const auto& c : cases) {
    tied_model* model = nullptr;
    EXPECT_EQ(tied_model_open_fd(descriptor, c.offset, c.length, nullptr, &model, nullptr), c.status) << c.offset;
  }
  close(descriptor);
  tied_model* model = nullptr;
  EXPECT_EQ(tied_model_open_fd(descriptor, 0, 0, nullptr, &model, nullptr), TIED_IO_ERROR);
}

void ExpectPathFails(const std::string& path, tied_status status, const std::string& word) {
  tied_model* model = nullptr;
  tied_error error = {};
  EXPECT_EQ(tied_model_open(path.c_str(), nullptr, &model, &error), status) << path;
  EXPECT_EQ(model, nullptr);
  EXPECT_NE(std::string(error.message).find(path), std::string::npos) << error.message;
  EXPECT_NE(std::string(error.message).find(word), std::string::npos) << error.message;
}

TEST(Open, ACopyDoesNotCareWhatHappensToTheFile) {
  const TemporaryFolder folder;
  const std::string path = folder.Write("m.tied", "junk" + kModel.File());
  const int fd = open(path.c_str(), O_RDONLY);
  tied_open_options options = TIED_OPEN_OPTIONS_INIT;
  options.copy = 1;
  tied_model* opened = nullptr;
  tied_error error = {};
  ASSERT_EQ(tied_model_open_fd(fd, 4, 0, &options, &opened, &error), TIED_OK) << error.message;
  close(fd);
  const ModelPtr model(opened);
  ASSERT_EQ(truncate(path.c_str(), 0), 0);
  EXPECT_EQ(tied_model_trim(model.get(), nullptr), TIED_OK);
  EXPECT_EQ(tied_model_verify(model.get(), &error), TIED_OK) << error.message;
}

TEST(Open, CountsWhatIsResident) {
  const TemporaryFolder folder;
  const TestModel large(300, 1024);  // 1.2 MB
  tied_model* opened = nullptr;
  ASSERT_EQ(tied_model_open(folder.Write("m.tied", large.File()).c_str(), nullptr, &opened, nullptr), TIED_OK);
  const ModelPtr model(opened);
  uint64_t used = 0, trimmed = 0;
  EXPECT_EQ(tied_model_verify(model.get(), nullptr), TIED_OK);
  const tied_status status = tied_model_resident_bytes(model.get(), &used, nullptr);
  if (status == TIED_IO_ERROR) GTEST_SKIP() << "this system does not report resident pages";
  EXPECT_EQ(tied_model_trim(model.get(), nullptr), TIED_OK);
  EXPECT_EQ(tied_model_resident_bytes(model.get(), &trimmed, nullptr), TIED_OK);
  EXPECT_GE(used, 300u * 4096);
  EXPECT_EQ(trimmed, 0u);
}

TEST(Open, WhatIsNoFileIsRefusedByName) {
  const TemporaryFolder folder;
  ExpectPathFails(folder.Path("missing.tied"), TIED_NOT_FOUND, "open");
  ExpectPathFails(folder.Path(""), TIED_IO_ERROR, "directory");
  mkfifo(folder.Path("fifo").c_str(), 0600);
  ExpectPathFails(folder.Path("fifo"), TIED_IO_ERROR, "regular");
  ExpectPathFails(folder.Write("empty", ""), TIED_CORRUPT, "empty");
  ExpectPathFails(folder.Write("text", std::string(100, 'a')), TIED_CORRUPT, "magic");
}

TEST(Open, WithoutPermissionIsRefused) {
  const TemporaryFolder folder;
  chmod(folder.Path("").c_str(), 0755);
  const std::string path = folder.Write("m.tied", kModel.File());
  chmod(path.c_str(), 0);
  const bool root = geteuid() == 0;
  if (root && seteuid(65534) != 0) GTEST_SKIP() << "root cannot drop its rights here";
  ExpectPathFails(path, TIED_PERMISSION_DENIED, "open");
  ASSERT_TRUE(!root || seteuid(0) == 0);
}

TEST(Open, VerifiesPlanesOnRequest) {
  std::string file = kModel.File();
  file.back() = static_cast<char>(file.back() ^ 1);
  const ModelPtr model = OpenMemory(file);
  tied_error error = {};
  EXPECT_EQ(tied_model_verify(model.get(), &error), TIED_CORRUPT);
  EXPECT_NE(std::string(error.message).find("bias"), std::string::npos);

  tied_open_options options = TIED_OPEN_OPTIONS_INIT;
  options.verify_planes = 1;
  tied_model* opened = nullptr;
  EXPECT_EQ(tied_model_open_memory(file.data(), file.size(), &options, &opened, nullptr), TIED_CORRUPT);
  file = kModel.File();
  EXPECT_EQ(tied_model_open_memory(file.data(), file.size(), &options, &opened, nullptr), TIED_OK);
  tied_model_close(opened);
}

TEST(Verify, FindsAFlippedBitAnywhereInAPlane) {
  const std::string file = kModel.File();
  const size_t table = kModel.rows() * kModel.cols() * sizeof(float);
  for (size_t byte = 65536; byte < 65536 + table; byte += 13) {
    std::string flipped = file;
    flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << byte % 8));
    tied_error error = {};
    EXPECT_EQ(tied_model_verify(OpenMemory(flipped).get(), &error), TIED_CORRUPT) << byte;
    EXPECT_NE(std::string(error.message).find("shared.weight"), std::string::npos);
  }
  EXPECT_EQ(tied_model_verify(OpenMemory(file).get(), nullptr), TIED_OK);
}

}  // namespace
}  // namespace tied::test
