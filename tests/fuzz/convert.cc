#include "tests/fuzz/convert.h"

#include <filesystem>
#include <iterator>

#include "base/error.h"
#include "converter/convert.h"
#include "converter/onnx/import.h"
#include "converter/onnx/slim.h"
#include "converter/onnx/write.h"
#include "converter/output/plan.h"
#include "converter/split/split.h"

namespace tied::test {

namespace {

using converter::ConvertError;

constexpr char kWritten[] = "written.tied";

void NoProgress(uint64_t, uint64_t) {}

converter::TableOptions TableOptionsOf(const ConvertOptions& options) {
  using converter::NumberFormat;
  static constexpr NumberFormat kFormats[] = {NumberFormat::kAuto, NumberFormat::kFloat16, NumberFormat::kBFloat16,
                                              NumberFormat::kInt8, NumberFormat::kInt4,    NumberFormat::kFloat32};
  converter::TableOptions tables;
  tables.format = kFormats[static_cast<size_t>(options.type) % std::size(kFormats)];
  tables.screen = options.screen && tables.format != NumberFormat::kInt4;
  tables.allow_untied = options.allow_untied;
  tables.check = options.check;
  return tables;
}

// Runs `body`; returns false if it throws a ConvertError. Any other exception is a finding.
template <class Body>
bool Succeeds(const Folder& folder, const Body& body) {
  const std::set<std::string> before = folder.Files();
  try {
    body();
    return true;
  } catch (const ConvertError& error) {
    Require(*error.what() != '\0', "an error has a message");
    Require(folder.Files() == before, "an error leaves no files");
    return false;
  }
}

}  // namespace

ConvertOptions OptionsOf(uint8_t bits) { return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, bits >> 3 & 7}; }

void ConvertSafely(const Folder& folder, const std::string& name, const ConvertOptions& options) {
  bool written = false;
  const bool succeeds = Succeeds(folder, [&] {
    written = converter::Convert({folder.Path(name), folder.Path(kWritten), TableOptionsOf(options)}).written;
  });
  if (!succeeds || !written) return;
  UseSafely(folder.Read(kWritten), /*must_open=*/true);
  std::filesystem::remove(folder.Path(kWritten));
}

void SplitSafely(const Folder& folder, const std::string& name) {
  const std::string path = folder.Path("split.onnx");
  bool left = false;
  const bool written = Succeeds(folder, [&] {
    converter::SplitModel split = converter::SplitOnnx(folder.Path(name));
    if (split.head && split.embedding)
      (void)converter::MakePlan(converter::PairOf({split}), name, /*allow_untied=*/true, NoProgress);
    left = !split.empty;
    if (split.empty) return;
    converter::OnnxWriter writer(std::move(split.model), split.path, path);
    writer.Write();
    writer.Commit();
  });
  if (!written || !left) return;
  (void)converter::ImportModel(converter::ReadSlimModel(path), path);
  std::filesystem::remove(path);
  std::filesystem::remove(path + ".data");
}

}  // namespace tied::test
