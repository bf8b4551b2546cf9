#include "tests/support/use_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <set>
#include <vector>

namespace tied::test {

namespace {

constexpr uint64_t kMaxElements = 1 << 17;
constexpr size_t kTokens = 2;

struct Closer {
  void operator()(tied_model* model) const { tied_model_close(model); }
  void operator()(tied_session* session) const { tied_session_destroy(session); }
};

size_t SizeOf(tied_type type) { return type == TIED_INT64 ? 8 : type == TIED_BOOL ? 1 : 4; }

// An operation of the file, and its table.
struct Op {
  tied_op_info info;
  tied_table_info table;  // undefined for Constant
};

class User {
 public:
  User(tied_model* model, Use* use) : model_(model), use_(use) {}

  void Run() {
    Describe();
    use_->verified = tied_model_verify(model_, &error_);
    Expect("tied_model_verify", use_->verified, {TIED_OK, TIED_CORRUPT});
    if (too_large_) return;
    tied_session_options options = TIED_SESSION_OPTIONS_INIT;
    options.threads = 1;
    tied_session* session = nullptr;
    Expect("tied_session_create", tied_session_create(model_, &options, &session, &error_), {TIED_OK});
    session_.reset(session);
    if (session == nullptr) return;
    for (const Op& op : ops_) {
      if (embedding_ == nullptr && !std::strcmp(op.info.kind, "Embedding")) embedding_ = &op;
      if (head_ == nullptr && !std::strcmp(op.info.kind, "Head")) head_ = &op;
    }
    Embed();
    Head();
    for (size_t i = 0; i < info_.entry_point_count; ++i) RunEntryPoint(i);
  }

 private:
  void Expect(const char* call, tied_status status, std::initializer_list<tied_status> allowed) {
    if (std::find(allowed.begin(), allowed.end(), status) != allowed.end()) return;
    Require(false, std::string(call) + " gave " + tied_status_name(status) + ": " + error_.message);
  }

  void Require(bool holds, const std::string& what) {
    if (!holds && use_->wrong.empty()) use_->wrong = what;
  }

  template <class T>
  void Keep(const std::vector<T>& values) {
    use_->results.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }

  // ---- descriptions

  void Describe() {
    Expect("tied_model_get_info", tied_model_get_info(model_, &info_, &error_), {TIED_OK});
    size_t characters = std::strlen(info_.producer) + std::strlen(info_.source) + std::strlen(info_.graph);
    for (size_t i = 0; i < info_.table_count; ++i) {
      tied_table_info table;
      Expect("tied_model_get_table", tied_model_get_table(model_, i, &table, &error_), {TIED_OK});
      characters += std::strlen(table.name);
      const auto* values = static_cast<const unsigned char*>(table.data);
      characters += values[0] + values[table.values.length - 1];  // must be readable
      too_large_ = too_large_ || table.rows * table.cols > kMaxElements;
    }
    for (size_t i = 0; i < info_.input_count; ++i) {
      inputs_.emplace_back();
      Expect("tied_model_get_input", tied_model_get_input(model_, i, &inputs_.back(), &error_), {TIED_OK});
    }
    for (size_t i = 0; i < info_.output_count; ++i) {
      outputs_.emplace_back();
      Expect("tied_model_get_output", tied_model_get_output(model_, i, &outputs_.back(), &error_), {TIED_OK});
    }
    for (const auto* values : {&inputs_, &outputs_}) {
      for (const tied_value_info& value : *values) {
        characters += std::strlen(value.name);
        for (size_t d = 0; d < value.rank; ++d) characters += std::strlen(value.symbols[d]);
      }
    }
    for (size_t i = 0; i < info_.entry_point_count; ++i) characters += DescribeEntryPoint(i);
    Require(characters < (64u << 20), "more text than a header can hold");
    Expect("the table after the last", tied_model_get_table(model_, info_.table_count, nullptr, &error_),
           {TIED_INVALID_ARGUMENT});
  }

  size_t DescribeEntryPoint(size_t index) {
    tied_entry_point_info entry_point;
    Expect("tied_model_get_entry_point", tied_model_get_entry_point(model_, index, &entry_point, &error_), {TIED_OK});
    size_t characters = std::strlen(entry_point.name);
    for (size_t i = 0; i < entry_point.selector_count; ++i) {
      tied_selector_info selector;
      Expect("tied_model_get_selector", tied_model_get_selector(model_, index, i, &selector, &error_), {TIED_OK});
      Require(selector.input < info_.input_count && inputs_[selector.input].type == TIED_BOOL,
              "a selector without a Boolean input");
    }
    for (size_t i = 0; i < entry_point.op_count; ++i) {
      Op op = {};
      Expect("tied_model_get_op", tied_model_get_op(model_, index, i, &op.info, &error_), {TIED_OK});
      characters += std::strlen(op.info.kind) + std::strlen(op.info.result) + std::strlen(op.info.origin);
      Require(op.info.output < info_.output_count, "an operation without output");
      if (std::strcmp(op.info.kind, "Constant") != 0) {
        Expect("the operation's table", tied_model_get_table(model_, op.info.table, &op.table, &error_), {TIED_OK});
        Require(op.info.input < info_.input_count, "an operation without input");
      }
      ops_.push_back(op);
    }
    return characters;
  }

  // ---- typed calls

  void Embed() {
    const int64_t rows = embedding_ == nullptr ? 1 : static_cast<int64_t>(embedding_->table.rows);
    const size_t cols = embedding_ == nullptr ? 0 : static_cast<size_t>(embedding_->table.cols);
    const int64_t ids[] = {0, rows - 1};
    std::vector<float> embeddings(2 * cols);
    const tied_status status = tied_embed(session_.get(), ids, 2, embeddings.data(), embeddings.size(), &error_);
    Expect("tied_embed", status, {embedding_ == nullptr ? TIED_UNSUPPORTED : TIED_OK});
    if (embedding_ == nullptr) return;
    Keep(embeddings);
    Expect("tied_embed of too large an id",
           tied_embed(session_.get(), &rows, 1, embeddings.data(), embeddings.size(), &error_), {TIED_OUT_OF_RANGE});
    Expect("tied_embed into too little", tied_embed(session_.get(), ids, 2, embeddings.data(), 2 * cols - 1, &error_),
           {TIED_BUFFER_TOO_SMALL});
  }

  void Head() {
    rows_ = head_ == nullptr ? 1 : static_cast<size_t>(head_->table.rows);
    const size_t cols = head_ == nullptr ? 1 : static_cast<size_t>(head_->table.cols);
    hidden_.clear();
    for (size_t i = 0; i < kTokens * cols; ++i) hidden_.push_back(static_cast<float>(i * 13 % 17) / 8 - 1);
    logits_.assign(kTokens * rows_, 0);
    std::vector<float> again(logits_.size(), 1);
    for (std::vector<float>* logits : {&logits_, &again}) {
      Expect("tied_logits",
             tied_logits(session_.get(), hidden_.data(), kTokens, logits->data(), logits->size(), &error_),
             {head_ == nullptr ? TIED_UNSUPPORTED : TIED_OK});
    }
    if (head_ == nullptr) return;
    Require(SameBits(logits_.data(), again.data(), logits_.size()), "a second tied_logits() gives different bits");
    Keep(logits_);
    Topk();
    TopkWith(/*with_ids=*/false);
    TopkWith(/*with_ids=*/true);
    SomeLogits();
  }

  static bool SameBits(const float* a, const float* b, size_t count) {
    return std::memcmp(a, b, count * sizeof *a) == 0;
  }

  // Compares a top-k with all logits. It may hold any rows, because the screen may be wrong.
  void CheckTopk(const std::vector<int64_t>& ids, const std::vector<float>& logits, size_t k) {
    for (size_t t = 0; t < kTokens; ++t) {
      std::set<int64_t> seen;
      for (size_t i = 0; i < k; ++i) {
        const int64_t id = ids[t * k + i];
        if (id < 0 || static_cast<size_t>(id) >= rows_ || !seen.insert(id).second) {
          Require(false, "a top-k with invalid or repeated ids");
          return;
        }
        Require(SameBits(&logits[t * k + i], &logits_[t * rows_ + static_cast<size_t>(id)], 1),
                "a top-k with wrong logits");
      }
    }
    Keep(ids);
  }

  void Topk() {
    const size_t k = std::min<size_t>(3, rows_);
    std::vector<int64_t> ids(kTokens * k);
    std::vector<float> logits(kTokens * k);
    const tied_status status =
        tied_topk(session_.get(), hidden_.data(), kTokens, k, ids.data(), logits.data(), &error_);
    Expect("tied_topk", status, {TIED_OK, TIED_NOT_FINITE});
    if (status == TIED_OK) CheckTopk(ids, logits, k);
    Expect("tied_topk of too many",
           tied_topk(session_.get(), hidden_.data(), kTokens, rows_ + 1, ids.data(), nullptr, &error_),
           {TIED_INVALID_ARGUMENT});
    ids.resize(kTokens);
    logits.resize(kTokens);
    const tied_status best = tied_argmax(session_.get(), hidden_.data(), kTokens, ids.data(), logits.data(), &error_);
    Expect("tied_argmax", best, {TIED_OK, TIED_NOT_FINITE});
    if (best != TIED_OK) return;
    CheckTopk(ids, logits, 1);
    for (size_t t = 0; use_->verified == TIED_OK && t < kTokens; ++t) {
      const float* first = &logits_[t * rows_];
      const float* largest = std::max_element(first, first + rows_);
      // A soft cap makes equal what is ranked before it.
      const bool same = head_->info.soft_cap == 0 ? largest - first == ids[t] : *largest == first[ids[t]];
      Require(same, "tied_argmax() is not the largest logit");
    }
  }

  void TopkWith(bool with_ids) {
    std::vector<int64_t> ids(kTokens), some = {static_cast<int64_t>(rows_) - 1, 0, 0};
    std::vector<float> logits(kTokens);
    std::vector<double> log_z(kTokens), bound(kTokens);
    std::vector<uint64_t> survivors(kTokens);
    uint64_t bytes_read = 0;
    const std::vector<uint8_t> allowed((rows_ + 7) / 8, 0xff);
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.row_ids = with_ids ? some.data() : nullptr;
    options.row_count = with_ids ? some.size() : 0;
    options.allowed = allowed.data();
    options.allowed_bytes = allowed.size();
    options.log_z_tolerance = with_ids ? 0 : 0.01;
    const tied_topk_result result = {ids.data(),   logits.data(),    log_z.data(),
                                     bound.data(), survivors.data(), &bytes_read};
    const tied_status status = tied_topk_with(session_.get(), hidden_.data(), kTokens, 1, &options, &result, &error_);
    Expect("tied_topk_with", status, {TIED_OK, TIED_NOT_FINITE});
    if (status != TIED_OK) return;
    CheckTopk(ids, logits, 1);
    for (size_t t = 0; t < kTokens; ++t) Require(survivors[t] <= 2 * rows_, "more survivors than rows");
  }

  void SomeLogits() {
    const std::vector<int64_t> some = {static_cast<int64_t>(rows_) - 1, 0, 0};
    std::vector<float> logits(kTokens * some.size());
    Expect("tied_logits_of",
           tied_logits_of(session_.get(), hidden_.data(), kTokens, some.data(), some.size(), logits.data(),
                          logits.size(), &error_),
           {TIED_OK});
    for (size_t i = 0; i < logits.size(); ++i) {
      const size_t row = static_cast<size_t>(some[i % some.size()]);
      Require(SameBits(&logits[i], &logits_[i / some.size() * rows_ + row], 1),
              "tied_logits_of() gives different bits");
    }
    std::vector<uint8_t> allowed((rows_ + 7) / 8, 0x55);
    std::vector<float> masked(logits_.size());
    Expect("tied_logits_allowed",
           tied_logits_allowed(session_.get(), hidden_.data(), kTokens, allowed.data(), allowed.size(), masked.data(),
                               masked.size(), &error_),
           {TIED_OK});
    for (size_t i = 0; i < masked.size(); ++i) {
      const float expected = i % rows_ % 2 == 0 ? logits_[i] : -INFINITY;
      Require(SameBits(&masked[i], &expected, 1), "tied_logits_allowed() gives different bits");
    }
  }

  // ---- entry points

  // A tensor of the declared shape; free dimensions are 1, and the last of a float tensor is `width`.
  bool MakeInput(const tied_value_info& info, size_t width, tied_tensor* tensor, std::vector<uint64_t>* memory) const {
    *tensor = {info.name, info.type, info.rank, {}, nullptr, 0};
    uint64_t elements = 1;
    for (size_t i = 0; i < info.rank; ++i) {
      const bool wide = i + 1 == info.rank && info.type == TIED_FLOAT32;
      tensor->dims[i] = info.dims[i] >= 0 ? info.dims[i] : wide ? static_cast<int64_t>(width) : 1;
      if (static_cast<uint64_t>(tensor->dims[i]) > kMaxElements) return false;
      elements *= static_cast<uint64_t>(tensor->dims[i]);
      if (elements > kMaxElements) return false;
    }
    tensor->bytes = static_cast<size_t>(elements) * SizeOf(info.type);
    memory->assign(tensor->bytes / sizeof(uint64_t) + 1, 0);
    if (info.type == TIED_FLOAT32) {
      auto* floats = reinterpret_cast<float*>(memory->data());
      for (size_t i = 0; i < elements; ++i) floats[i] = static_cast<float>(i % 5) - 2;
    }
    tensor->data = memory->data();
    return true;
  }

  void RunEntryPoint(size_t index) {
    tied_entry_point_info entry_point;
    if (tied_model_get_entry_point(model_, index, &entry_point, &error_) != TIED_OK) return;
    for (size_t i = 0; i < entry_point.op_count; ++i) {
      tied_op_info op;
      tied_table_info table = {};
      if (tied_model_get_op(model_, index, i, &op, &error_) != TIED_OK) return;
      if (std::strcmp(op.kind, "Constant") != 0) tied_model_get_table(model_, op.table, &table, &error_);
      std::vector<tied_tensor> inputs(inputs_.size());
      std::vector<std::vector<uint64_t>> memory(inputs_.size());
      bool possible = true;
      for (size_t j = 0; j < inputs_.size(); ++j) {
        possible = possible && MakeInput(inputs_[j], static_cast<size_t>(table.cols), &inputs[j], &memory[j]);
      }
      if (possible) RunOutput(entry_point.name, inputs, outputs_[op.output]);
    }
  }

  // Asks for the size, then computes twice into buffers of exactly that size.
  void RunOutput(const char* entry_point, const std::vector<tied_tensor>& given, const tied_value_info& info) {
    std::vector<tied_tensor> inputs = given;
    tied_tensor output = {info.name, 0, 0, {}, nullptr, 0};
    const auto run = [&] {
      return tied_run(session_.get(), entry_point, inputs.data(), inputs.size(), &output, 1, &error_);
    };
    tied_status status = run();
    Expect("tied_run for a size", status, {TIED_OK, TIED_INVALID_ARGUMENT});
    if (status == TIED_INVALID_ARGUMENT) {
      // Selectors of zeros may select a different entry point.
      inputs.erase(std::remove_if(inputs.begin(), inputs.end(), [](const auto& t) { return t.type == TIED_BOOL; }),
                   inputs.end());
      status = run();
      Expect("tied_run for a size", status, {TIED_OK, TIED_INVALID_ARGUMENT});
    }
    if (status != TIED_OK || output.bytes > 16u << 20) return;
    uint64_t elements = 1;
    for (size_t i = 0; i < output.rank; ++i) elements *= static_cast<uint64_t>(output.dims[i]);
    Require(elements * SizeOf(output.type) == output.bytes, "an output whose shape does not match its size");
    std::vector<char> once(output.bytes), twice(output.bytes);
    for (std::vector<char>* bytes : {&once, &twice}) {
      output.data = bytes->data();
      status = run();
      Expect("tied_run", status, {TIED_OK, TIED_NOT_FINITE});
    }
    if (status == TIED_OK) Require(once == twice, "a second tied_run() gives different bits");
    if (status == TIED_OK) Keep(once);
  }

  tied_model* const model_;
  Use* const use_;
  std::unique_ptr<tied_session, Closer> session_;
  tied_error error_ = {};
  tied_model_info info_ = {};
  std::vector<tied_value_info> inputs_, outputs_;
  std::vector<Op> ops_;
  const Op* embedding_ = nullptr;  // that the typed calls use
  const Op* head_ = nullptr;
  bool too_large_ = false;
  size_t rows_ = 0;
  std::vector<float> hidden_, logits_;
};

}  // namespace

Use UseModel(const std::string& file) {
  // A copy without spare memory after the file, so that sanitizers see reads past its end.
  const std::unique_ptr<char[]> memory(new char[file.size()]);
  std::memcpy(memory.get(), file.data(), file.size());
  Use use;
  tied_model* model = nullptr;
  tied_error error = {};
  use.opened = tied_model_open_memory(memory.get(), file.size(), nullptr, &model, &error);
  if (use.opened != TIED_OK) {
    use.message = error.message;
    const bool documented = use.opened == TIED_CORRUPT || use.opened == TIED_UNSUPPORTED;
    if (!documented || model != nullptr || use.message.empty()) {
      use.wrong = std::string("tied_model_open_memory gave ") + tied_status_name(use.opened) + ": " + use.message;
    }
    return use;
  }
  const std::unique_ptr<tied_model, Closer> owner(model);
  User(model, &use).Run();
  return use;
}

}  // namespace tied::test
