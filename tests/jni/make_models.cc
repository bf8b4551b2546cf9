// Writes the models of the Java tests (jni/src/test) into a folder.
#include <cstddef>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "tests/support/kept_rows.h"
#include "tests/support/quantised_table.h"
#include "tests/support/test_model.h"

namespace tied::test {
namespace {

bool Write(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  return static_cast<bool>(file.flush());
}

// Uses the names of the NLLB graph, whose selector has the opposite meaning.
TiedFile WithNllbNames(TiedFile file) {
  file.header.inputs[2]->name = "use_lm_head";
  for (auto& entry_point : file.header.entry_points) {
    entry_point->selectors[0]->value = !entry_point->selectors[0]->value;
  }
  file.header.outputs[0]->name = "embed_matrix";
  return file;
}

// Gives the embedding a separate table, [4, 1], before the head's, and names with characters of four bytes in UTF-8.
TiedFile Untied(TiedFile file) {
  auto embedding = std::make_unique<format::TiedTableT>();
  embedding->name = "embedding";
  embedding->type = format::DataType::Float32;
  embedding->rows = 4;
  embedding->cols = 1;
  embedding->values = std::make_unique<format::Plane>(file.AddPlane(std::vector<float>{1, 2, 3, 4}));
  file.header.tables.insert(file.header.tables.begin(), std::move(embedding));
  format::EntryPointT& head = *file.header.entry_points[1];
  head.ops[0]->operation.AsHead()->table = 1;
  head.name = "head\U0001F600";
  file.header.outputs[1]->name = "logits\U0001F600";
  return file;
}

// Removes one of the two entry points: 0 for the embedding, 1 for the head.
TiedFile Without(TiedFile file, size_t entry_point) {
  file.header.entry_points.erase(file.header.entry_points.begin() + static_cast<std::ptrdiff_t>(entry_point));
  return file;
}

}  // namespace
}  // namespace tied::test

int main(int argc, char** argv) {
  using tied::test::TestModel;
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_models FOLDER\n");
    return 2;
  }
  const std::string folder = argv[1];
  TestModel small(19, 6);
  tied::test::TiedFile screened = small.MakeFile();
  tied::test::AddScreen(&screened, small.rows(), small.cols(), small.values());
  const tied::test::TiedFile kept = tied::test::KeepRows(small.MakeFile(), {0, 2, 4, 6, 8, 10, 12, 14, 16, 18});
  std::string damaged = small.File();
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  const tied::test::TiedFile loop = tied::test::WithNllbNames(TestModel(2000, 64).MakeFile());
  const bool written =
      tied::test::Write(folder + "/small.tied", small.File()) &&
      tied::test::Write(folder + "/screened.tied", screened.Bytes()) &&
      tied::test::Write(folder + "/kept.tied", kept.Bytes()) && tied::test::Write(folder + "/damaged.tied", damaged) &&
      tied::test::Write(folder + "/untied.tied", tied::test::Untied(small.MakeFile()).Bytes()) &&
      tied::test::Write(folder + "/no_embedding.tied", tied::test::Without(small.MakeFile(), 0).Bytes()) &&
      tied::test::Write(folder + "/no_head.tied", tied::test::Without(small.MakeFile(), 1).Bytes()) &&
      tied::test::Write(folder + "/loop.tied", loop.Bytes()) &&
      tied::test::Write(folder + "/large.tied", TestModel(40000, 512).File());
  return written ? 0 : 1;
}
