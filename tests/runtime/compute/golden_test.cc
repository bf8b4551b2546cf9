// Every CPU must reproduce these hashes of results, which were computed by the scalar kernels.
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
    {{kI4}, 0x838212b28e9b6ead, 0x6b796e3e498f1b9a, 0x3a686ec768482fe4, 0x6dbc5f8c8acc279a},
    {{kI4, false, true}, 0x66441ecc039ea6f2, 0xb9463bfb516911e0, 0xf2e51c4fe3a75304, 0x3a00cc367fa51f8b},
    {{kI8, false, false, false, true}, 0x3f60fb0f45e06c25, 0xb48c05a6f0bc3c72, 0x9b4f4f63780e0bec, 0x75d1726975e85912},
    {{kU8, false, true, false, true}, 0x3f60fb0f45e06c25, 0xd01312729baae3d5, 0x9b4f4f63780e0bec, 0x75d1726975e85912},
    {{kI4, false, true, false, false, true},
     0xd1cfd9351811b812,
     0xb609b5ca7d3eb043,
     0x6600edd8cf8541d6,
     0xb2f4fa208740fea5},
    {{kI8, false, false, false, true, true},
     0x806e7e50e80fda7c,
     0x694e52125d83cad9,
     0x2406d5711cec19e0,
     0xb5db5746c42cdd5a},
    {{kU8, false, true, false, true, true},
     0x806e7e50e80fda7c,
     0xa882fff254c7f937,
     0x2406d5711cec19e0,
     0xb5db5746c42cdd5a},
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
