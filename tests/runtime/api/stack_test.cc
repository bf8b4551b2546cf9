// A call uses little of its caller's stack.
#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <functional>

#include "tests/runtime/model_fixture.h"
#include "tests/support/oracle.h"
#include "tests/support/quantised_table.h"

namespace tied::test {
namespace {

constexpr size_t kRows = 300, kCols = 64, kTokens = 64;
constexpr size_t kPromised = 48 << 10;  // tied.h
constexpr size_t kStack = 1 << 20;

struct Measurement {
  std::function<void()> body;
  const char* entry = nullptr;
};

void* Enter(void* argument) {
  auto* measurement = static_cast<Measurement*>(argument);
  char here = 0;
  measurement->entry = &here;
  measurement->body();
  return nullptr;
}

// The bytes of its stack that a thread has written to in `body`.
size_t StackOf(std::function<void()> body) {
  auto* stack =
      static_cast<char*>(mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0));
  constexpr char kPaint = 0x5a;
  std::memset(stack, kPaint, kStack);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstack(&attributes, stack, kStack);
  Measurement measurement = {std::move(body)};
  pthread_t thread;
  EXPECT_EQ(pthread_create(&thread, &attributes, Enter, &measurement), 0);
  pthread_join(thread, nullptr);
  pthread_attr_destroy(&attributes);
  const char* lowest = std::find_if(stack, stack + kStack, [](char byte) { return byte != kPaint; });
  const auto used = static_cast<size_t>(measurement.entry - lowest);
  munmap(stack, kStack);
  return used;
}

class Stack : public testing::TestWithParam<std::tuple<TableForm, int>> {};

TEST_P(Stack, IsSmallInEveryCall) {
  const auto& [form, threads] = GetParam();
  RandomModel model(kRows, kCols);
  TiedFile file = model.MakeFile();
  StoreTable(&file, form, kRows, kCols, &model.values());
  const std::string bytes = file.Bytes();
  const std::vector<float> hidden = MakeNumbers(Numbers::kNormal, kTokens * kCols, 5);
  std::vector<float> floats(kTokens * std::max(kRows, kCols));
  std::vector<int64_t> ids(kTokens * 20);
  std::vector<double> log_z(kTokens);
  const std::vector<uint8_t> allowed((kRows + 7) / 8, 0xf7);
  ModelPtr open;
  SessionPtr session;
  const auto topk = [&](int use_screen, size_t k) {
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.use_screen = use_screen;
    tied_topk_result result = {};
    result.ids = ids.data();
    result.log_z = log_z.data();
    return tied_topk_with(session.get(), hidden.data(), kTokens, k, &options, &result, nullptr);
  };
  const auto run = [&] {
    tied_tensor inputs[] = {{"pre_logits",
                             TIED_FLOAT32,
                             3,
                             {1, kTokens, kCols},
                             const_cast<float*>(hidden.data()),
                             kTokens * kCols * sizeof(float)}};
    tied_tensor outputs[] = {{"logits", TIED_FLOAT32, 0, {}, floats.data(), floats.size() * sizeof(float)}};
    return tied_run(session.get(), "head", inputs, 1, outputs, 1, nullptr);
  };
  const std::pair<const char*, std::function<tied_status()>> calls[] = {
      {"open", [&] { return open = OpenMemory(bytes), TIED_OK; }},
      {"verify", [&] { return tied_model_verify(open.get(), nullptr); }},
      {"create", [&, n = threads] { return session = MakeSession(open.get(), n), TIED_OK; }},
      {"embed", [&] { return tied_embed(session.get(), ids.data(), 3, floats.data(), floats.size(), nullptr); }},
      {"logits",
       [&] { return tied_logits(session.get(), hidden.data(), kTokens, floats.data(), floats.size(), nullptr); }},
      {"topk", [&] { return topk(0, 20); }},
      {"screened topk", [&] { return topk(1, 20); }},
      {"argmax",
       [&] { return tied_argmax(session.get(), hidden.data(), kTokens, ids.data(), floats.data(), nullptr); }},
      {"logits of ids",
       [&] {
         std::fill(ids.begin(), ids.end(), 7);
         return tied_logits_of(session.get(), hidden.data(), kTokens, ids.data(), 20, floats.data(), floats.size(),
                               nullptr);
       }},
      {"logits allowed",
       [&] {
         return tied_logits_allowed(session.get(), hidden.data(), kTokens, allowed.data(), allowed.size(),
                                    floats.data(), floats.size(), nullptr);
       }},
      {"run", run}};
  for (const auto& [name, call] : calls) {
    tied_status status = TIED_OK;
    EXPECT_LE(StackOf([&, &call = call] { status = call(); }), kPromised) << name;
    EXPECT_EQ(status, TIED_OK) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, Stack, testing::Combine(testing::ValuesIn(AllTableForms()), testing::Values(1, 2)));

}  // namespace
}  // namespace tied::test
