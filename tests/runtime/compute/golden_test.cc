// Every CPU must reproduce these hashes of results, which were computed on x86-64 with AVX2.
#include "tests/runtime/model_fixture.h"
#include "tests/support/quantised_table.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::test {
namespace {

constexpr size_t kRows = 211, kCols = 133, kTokens = 5, kBest = 7;

struct Golden {
  TableForm form;
  uint64_t embeddings, logits, topk, log_z;
};
std::ostream& operator<<(std::ostream& out, const Golden& golden) { return out << golden.form; }

constexpr format::DataType kF32 = format::DataType::Float32, kF16 = format::DataType::Float16,
                           kBf16 = format::DataType::BFloat16, kI8 = format::DataType::Int8,
                           kU8 = format::DataType::Uint8, kI4 = format::DataType::Int4;

const Golden kGolden[] = {
    {{kF32, false, false, true}, 0xf37ed9706283b634, 0x841f4a3e5b151515, 0xaf2a07149afa5df3, 0x9396d93c8b41d75e},
    {{kF16, false, false, true}, 0x635e6ae81bdb01e6, 0x143596c86b292ef4, 0x88568eeb8f07b886, 0x884038a239a4305d},
    {{kBf16, false, false, true}, 0x7d4211cd9dd66ad6, 0x241abf4631fa51cc, 0x85b7e64becec9215, 0x99e7fc4d377241df},
    {{kI8}, 0xc7b5fa46e9f59f7b, 0xa92fa3c08d204145, 0x3b13e99e59036b24, 0x652ca4a0b9da63aa},
    {{kI8, false, false, true}, 0xc7b5fa46e9f59f7b, 0xa92fa3c08d204145, 0x3b13e99e59036b24, 0x652ca4a0b9da63aa},
    {{kU8, false, true}, 0xc7b5fa46e9f59f7b, 0xa92fa3c08d204145, 0x3b13e99e59036b24, 0x652ca4a0b9da63aa},
    {{kI4}, 0x838212b28e9b6ead, 0x671ab5792a733c01, 0xe1ee0f1e90ac6462, 0xe816dd4327eb946b},
    {{kI4, false, true}, 0x66441ecc039ea6f2, 0xc448e3f35f33f548, 0x653e23b463a476db, 0xc3d4f5412e2f933f},
    {{kI8, false, false, false, true}, 0x3f60fb0f45e06c25, 0xc09bf03d77c05689, 0x96acd68927b0c69d, 0xca158f8a1d85b50d},
    {{kU8, false, true, false, true}, 0x3f60fb0f45e06c25, 0x633a224623d0933c, 0x9aa770d9637c3988, 0xa5f93764bfb575b},
    {{kI4, false, true, false, false, true},
     0xd1cfd9351811b812,
     0xb736c319609f0521,
     0x59dd7cd0c963b88,
     0x583d5b22e60d8b77},
    {{kI8, false, false, false, true, true},
     0x806e7e50e80fda7c,
     0x3b3e8d7b7846605,
     0x9d2f8d8f4d23af0e,
     0x851e4bc0ba97aa8b},
    {{kU8, false, true, false, true, true},
     0x806e7e50e80fda7c,
     0x4b85b1361a304e0c,
     0x5e95f98c4d3e0393,
     0x106c3e7a20801f4f},
};

// Numbers from -2 to 2 of many magnitudes, made with integer arithmetic only (Knuth's MMIX generator).
std::vector<float> Numbers(size_t count, uint64_t state) {
  std::vector<float> numbers;
  for (size_t i = 0; i < count; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    const auto high = static_cast<int32_t>(state >> 32);
    numbers.push_back(static_cast<float>(high >> 7) * (high % 8 == 0 ? 0x1p-38f : 0x1p-23f));
  }
  return numbers;
}

template <class T>
uint64_t Hash(const std::vector<T>& values, uint64_t seed = 0) {
  return XXH3_64bits_withSeed(values.data(), values.size() * sizeof(T), seed);
}

class GoldenBits : public testing::TestWithParam<Golden> {};

TEST_P(GoldenBits, AreTheSame) {
  const Golden& golden = GetParam();
  TestModel model(kRows, kCols);
  model.values() = Numbers(kRows * kCols, 1);
  TiedFile file = model.MakeFile();
  StoreTable(&file, golden.form, kRows, kCols, &model.values());
  const std::string bytes = file.Bytes();
  const ModelPtr open = OpenMemory(bytes);
  const SessionPtr session = MakeSession(open.get(), 2);
  const std::vector<float> hidden = Numbers(kTokens * kCols, 2);
  const std::vector<int64_t> ids = {0, 210, 7, 7, 100};

  std::vector<float> embeddings(ids.size() * kCols), logits(kTokens * kRows), best_logits(kTokens * kBest);
  std::vector<int64_t> best(kTokens * kBest);
  std::vector<double> log_z(kTokens), approximate_log_z(kTokens);
  ASSERT_EQ(tied_embed(session.get(), ids.data(), ids.size(), embeddings.data(), embeddings.size(), nullptr), TIED_OK);
  ASSERT_EQ(tied_logits(session.get(), hidden.data(), kTokens, logits.data(), logits.size(), nullptr), TIED_OK);
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  tied_topk_result result = {best.data(), best_logits.data(), log_z.data(), nullptr, nullptr, nullptr};
  ASSERT_EQ(tied_topk_with(session.get(), hidden.data(), kTokens, kBest, &options, &result, nullptr), TIED_OK);
  options.log_z_tolerance = 0.25;
  result.log_z = approximate_log_z.data();
  ASSERT_EQ(tied_topk_with(session.get(), hidden.data(), kTokens, kBest, &options, &result, nullptr), TIED_OK);

  const uint64_t actual[] = {Hash(embeddings), Hash(logits), Hash(best_logits, Hash(best)),
                             Hash(approximate_log_z, Hash(log_z))};
  const uint64_t expected[] = {golden.embeddings, golden.logits, golden.topk, golden.log_z};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(actual[i], expected[i]) << "result " << i << std::hex << ": 0x" << actual[i];
}

INSTANTIATE_TEST_SUITE_P(Formats, GoldenBits, testing::ValuesIn(kGolden));

}  // namespace
}  // namespace tied::test
