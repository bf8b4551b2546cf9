#include "tests/fuzz/convert.h"

#include <filesystem>
#include <sstream>

#include "base/error.h"
#include "converter/check/check.h"
#include "converter/model_reader.h"
#include "converter/onnx/import.h"
#include "converter/onnx/slim.h"
#include "converter/onnx/write.h"
#include "converter/output/plan.h"
#include "converter/output/writer.h"
#include "converter/split/split.h"

namespace tied::test {

namespace {

using converter::ConvertError;
using format::DataType;

constexpr char kWritten[] = "written.tied";

void NoProgress(uint64_t, uint64_t) {}

void ChooseEncodings(const ConvertOptions& options, converter::Plan* plan) {
  static constexpr DataType kTypes[] = {DataType::Float32, DataType::Float16, DataType::BFloat16, DataType::Int8,
                                        DataType::Int4};
  for (size_t i = 0; i < plan->tables.size(); ++i) {
    converter::TableEncoding& encoding = plan->encodings[i];
    if (options.type == 0 && plan->tables[i].quantised()) {
      encoding = converter::EncodingOf(plan->tables[i]);
    } else {
      encoding.type = kTypes[static_cast<size_t>(options.type) % std::size(kTypes)];
      encoding.lossless = encoding.type == DataType::Float32;
      encoding.screen = options.screen && encoding.type != DataType::Int8 && encoding.type != DataType::Int4;
    }
  }
}

// Runs `body`; false if it has refused. Anything else than a ConvertError is a finding of the fuzzer.
template <class Body>
bool Succeeds(const Folder& folder, const Body& body) {
  const std::set<std::string> before = folder.Files();
  try {
    body();
    return true;
  } catch (const ConvertError& error) {
    Require(*error.what() != '\0', "a refusal says why");
    Require(folder.Files() == before, "a refusal leaves nothing behind");
    return false;
  }
}

}  // namespace

ConvertOptions OptionsOf(uint8_t bits) { return {(bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, bits >> 3 & 7}; }

void ConvertSafely(const Folder& folder, const std::string& name, const ConvertOptions& options) {
  const std::string path = folder.Path(name);
  converter::Graph graph;
  bool lossless = true;
  const bool written = Succeeds(folder, [&] {
    graph = converter::ReadModel(path);
    converter::Plan plan = converter::MakePlan(graph, path, options.allow_untied, NoProgress);
    ChooseEncodings(options, &plan);
    for (const converter::TableEncoding& encoding : plan.encodings) lossless = lossless && encoding.lossless;
    converter::WriteFile(plan, folder.Path(kWritten), NoProgress, nullptr);
  });
  if (!written) return;
  UseSafely(folder.Read(kWritten), /*must_open=*/true);
  std::ostringstream report;
  if (options.check) {
    Succeeds(folder, [&] { converter::CheckConversion(graph, folder.Path(kWritten), lossless, report); });
  }
  std::filesystem::remove(folder.Path(kWritten));
}

void SplitSafely(const Folder& folder, const std::string& name) {
  const std::string path = folder.Path("split.onnx");
  const bool written = Succeeds(folder, [&] {
    converter::SplitModel split = converter::SplitOnnx(folder.Path(name));
    if (split.head) (void)converter::MakePlan(converter::PairOf(split), name, /*allow_untied=*/true, NoProgress);
    converter::OnnxWriter writer(std::move(split.model), split.path, path);
    writer.Write();
    writer.Commit();
  });
  if (!written) return;
  (void)converter::ImportModel(converter::ReadSlimModel(path), path);
  std::filesystem::remove(path);
  std::filesystem::remove(path + ".data");
}

}  // namespace tied::test
