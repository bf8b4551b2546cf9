// Files that are changed and hashed again, so that the header's hash matches. Each is refused or works as tied.h says;
// a change without meaning does not change the results.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"
#include "tests/support/test_model.h"
#include "tests/support/use_model.h"

namespace tied::test {
namespace {

namespace fb = tied::format;

constexpr size_t kPreamble = 32;
constexpr size_t kAlignment = 65536;

struct Kind {
  TableForm form;
  fb::HeadResult result;
};
std::ostream& operator<<(std::ostream& out, const Kind& kind) {
  return out << kind.form << fb::EnumNameHeadResult(kind.result);
}

TiedFile MakeFile(const Kind& kind) {
  const TestModel model(11, 5);
  TiedFile file = model.MakeFile();
  std::vector<float> values = MakeNumbers(Numbers::kNormal, model.rows() * model.cols(), 1);
  StoreTable(&file, kind.form, model.rows(), model.cols(), &values);
  fb::HeadT& head = *file.header.entry_points[1]->ops[0]->operation.AsHead();
  head.result = kind.result;
  head.k = kind.result == fb::HeadResult::Logits ? 0 : 2;
  head.log_softmax = kind.result == fb::HeadResult::TopkValues;
  // A non-empty constant.
  fb::OpT& constant = *file.header.entry_points[0]->ops[1];
  constant.operation.AsConstant()->data.assign(2 * sizeof(float), 1);
  constant.output_dims = {fb::OutputDim(fb::DimRule::Constant, 2)};
  return file;
}

std::vector<Kind> AllKinds() {
  std::vector<Kind> kinds;
  for (const TableForm& form : AllTableForms()) {
    kinds.push_back({form, form.screen || form.zero_points ? fb::HeadResult::TopkValues : fb::HeadResult::Logits});
  }
  return kinds;
}

std::string FlatbufferOf(const std::string& file) {
  uint32_t length = 0;
  std::memcpy(&length, file.data() + 12, sizeof length);
  return file.substr(kPreamble, length);
}

// The file with its flatbuffer replaced, and a matching preamble.
std::string WithFlatbuffer(const std::string& file, const std::string& flatbuffer) {
  std::string changed = WithPreamble(flatbuffer, file.size());
  changed.resize(kAlignment);
  return changed + file.substr(kAlignment);
}

// A canonical form of a flatbuffer's content; "" if it is not a valid flatbuffer.
std::string Meaning(const std::string& flatbuffer) {
  std::vector<uint64_t> aligned(flatbuffer.size() / sizeof(uint64_t) + 1);
  std::memcpy(aligned.data(), flatbuffer.data(), flatbuffer.size());
  const auto* bytes = reinterpret_cast<const uint8_t*>(aligned.data());
  flatbuffers::Verifier verifier(bytes, flatbuffer.size());
  if (!fb::VerifyHeaderBuffer(verifier)) return "";
  fb::HeaderT header;
  fb::GetHeader(bytes)->UnPackTo(&header);
  for (const auto& entry_point : header.entry_points) {
    for (const auto& op : entry_point->ops) {
      if (op->operation.value == nullptr) return "";  // of a type that the schema does not have: cannot be packed
    }
  }
  flatbuffers::FlatBufferBuilder builder;
  fb::FinishHeaderBuffer(builder, fb::CreateHeader(builder, &header));
  return {reinterpret_cast<const char*>(builder.GetBufferPointer()), builder.GetSize()};
}

std::vector<fb::Plane*> PlanesOf(fb::HeaderT& header) {
  fb::TiedTableT& table = *header.tables[0];
  std::vector<fb::Plane*> planes = {table.values.get(), table.scales.get(), table.zero_points.get()};
  if (table.screen != nullptr) {
    planes.insert(planes.end(), {table.screen->upper.get(), table.screen->lower.get(), table.screen->scales.get(),
                                 table.screen->upper_norms.get(), table.screen->norms.get()});
  }
  planes.push_back(header.entry_points[1]->ops[0]->operation.AsHead()->bias.get());
  planes.erase(std::remove(planes.begin(), planes.end(), nullptr), planes.end());
  return planes;
}

size_t BeginOf(const fb::Plane& plane) { return static_cast<size_t>(plane.offset()); }
size_t EndOf(const fb::Plane& plane) { return static_cast<size_t>(plane.offset() + plane.length()); }

void Move(fb::Plane* plane, uint64_t offset, uint64_t length) { *plane = fb::Plane(offset, length, plane->hash()); }

class Corruption : public testing::TestWithParam<Kind> {
 protected:
  // Uses a file, which must either be refused or work.
  static Use Try(const std::string& file) {
    Use use = UseModel(file);
    EXPECT_EQ(use.wrong, "");
    return use;
  }

  TiedFile file_ = MakeFile(GetParam());
  const std::string bytes_ = file_.Bytes();
};

TEST_P(Corruption, TheFileItselfWorks) {
  const Use use = Try(bytes_);
  EXPECT_EQ(use.opened, TIED_OK) << use.message;
  EXPECT_EQ(use.verified, TIED_OK);
  EXPECT_NE(use.results, "");
}

TEST_P(Corruption, EveryByteOfTheHeader) {
  const std::string flatbuffer = FlatbufferOf(bytes_);
  const std::string meaning = Meaning(flatbuffer);
  const std::string results = UseModel(bytes_).results;
  size_t refused = 0, without_meaning = 0;
  for (size_t i = 0; i < flatbuffer.size(); ++i) {
    std::string changed = flatbuffer;
    changed[i] = static_cast<char>(changed[i] ^ (i % 3 == 0 ? 0xff : 1 << i % 8));
    const Use use = Try(WithFlatbuffer(bytes_, changed));
    refused += use.opened != TIED_OK;
    if (Meaning(changed) != meaning) continue;
    ++without_meaning;
    EXPECT_EQ(use.opened, TIED_OK) << i << ": " << use.message;
    EXPECT_EQ(use.results, results) << i;
  }
  EXPECT_GT(refused, flatbuffer.size() / 4);
  EXPECT_GT(without_meaning, 0u);
}

TEST_P(Corruption, EveryCutOfTheHeader) {
  const std::string flatbuffer = FlatbufferOf(bytes_);
  for (size_t length = 0; length < flatbuffer.size(); length += 3) {
    Try(WithFlatbuffer(bytes_, flatbuffer.substr(0, length)));
  }
}

TEST_P(Corruption, EveryCutOfTheFileIsRefused) {
  const std::string flatbuffer = FlatbufferOf(bytes_);
  for (const fb::Plane* plane : PlanesOf(file_.header)) {
    for (size_t length = BeginOf(*plane); length < EndOf(*plane); length += 7) {
      const std::string whole = WithPreamble(flatbuffer, length) + bytes_.substr(kPreamble + flatbuffer.size());
      EXPECT_EQ(Try(whole.substr(0, length)).opened, TIED_CORRUPT) << length;
    }
  }
}

TEST_P(Corruption, PlanesThatAreElsewhere) {
  const std::vector<fb::Plane*> planes = PlanesOf(file_.header);
  for (fb::Plane* plane : planes) {
    const fb::Plane was = *plane;
    for (const uint64_t offset :
         {uint64_t{0}, uint64_t{4}, was.offset() - 4, was.offset() + 4, uint64_t{64} * kAlignment, uint64_t{1} << 31,
          uint64_t{1} << 32, uint64_t{1} << 63, (uint64_t{1} << 63) + was.offset(), UINT64_MAX - 65535}) {
      Move(plane, offset, was.length());
      EXPECT_EQ(Try(file_.Bytes()).opened, TIED_CORRUPT) << offset;
    }
    for (const uint64_t length :
         {uint64_t{0}, was.length() - 1, was.length() + 1, was.length() + 4, uint64_t{64} * kAlignment,
          uint64_t{1} << 32, uint64_t{1} << 63, UINT64_MAX, UINT64_MAX - was.offset() + 1}) {
      Move(plane, was.offset(), length);
      EXPECT_EQ(Try(file_.Bytes()).opened, TIED_CORRUPT) << length;
    }
    *plane = was;
  }
}

TEST_P(Corruption, PlanesInEachOthersPlaceAreFoundByVerify) {
  const std::vector<fb::Plane*> planes = PlanesOf(file_.header);
  for (fb::Plane* a : planes) {
    for (fb::Plane* b : planes) {
      if (a == b) continue;
      const fb::Plane was_a = *a, was_b = *b;
      Move(a, was_b.offset(), was_a.length());  // both at the same offset
      const Use overlap = Try(file_.Bytes());
      EXPECT_TRUE(overlap.opened != TIED_OK || overlap.verified == TIED_CORRUPT);
      Move(b, was_a.offset(), was_b.length());
      const Use swapped = Try(file_.Bytes());
      EXPECT_TRUE(swapped.opened != TIED_OK || swapped.verified == TIED_CORRUPT);
      *a = was_a;
      *b = was_b;
    }
  }
}

TEST_P(Corruption, FlippedBitsOfPlanesAreFoundByVerify) {
  for (const fb::Plane* plane : PlanesOf(file_.header)) {
    for (size_t i = BeginOf(*plane); i < EndOf(*plane); ++i) {
      std::string changed = bytes_;
      char& byte = changed[i];
      byte = static_cast<char>(byte ^ 1 << i % 8);
      const Use use = Try(changed);
      EXPECT_EQ(use.opened, TIED_OK);
      EXPECT_EQ(use.verified, TIED_CORRUPT) << i;
    }
  }
}

TEST_P(Corruption, WhatIsBetweenPlanesHasNoMeaning) {
  std::string changed = bytes_;
  for (const fb::Plane* plane : PlanesOf(file_.header)) {
    const size_t end = EndOf(*plane);
    if (end < changed.size()) std::memset(&changed[end], 0x5a, kAlignment - end % kAlignment);
  }
  const Use use = Try(changed);
  EXPECT_EQ(use.verified, TIED_OK);
  EXPECT_EQ(use.results, UseModel(bytes_).results);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Corruption, testing::ValuesIn(AllKinds()), testing::PrintToStringParamName());

}  // namespace
}  // namespace tied::test
