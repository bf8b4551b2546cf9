#include "runtime/compute/hidden.h"

#include <algorithm>
#include <cstdlib>

namespace tied::runtime {

namespace {

constexpr size_t kAlignment = 64;

void* Allocate(size_t bytes) {
  void* memory = nullptr;
  return posix_memalign(&memory, kAlignment, bytes) == 0 ? memory : nullptr;
}

}  // namespace

void PackedHidden::Free::operator()(void* memory) const { std::free(memory); }  // NOLINT(cppcoreguidelines-no-malloc)

Status PackedHidden::Reserve(const TableView& table, size_t tokens, bool with_activations) {
  tokens = std::min(tokens, kMaxBatch);
  const size_t float_count = kernels::PackedHiddenSize(tokens, table.cols);
  size_t activation_bytes = kernels::PackedActivationsSize(tokens, table.cols);
  size_t quantised_count = tokens * table.cols;
  const Status no_memory = Status::Error(TIED_OUT_OF_MEMORY, "no memory for the hidden states of %zu tokens", tokens);
  if (table.is_float() && float_count > float_count_) {
    floats_.reset(static_cast<float*>(Allocate(float_count * sizeof(float))));
    float_count_ = floats_ == nullptr ? 0 : float_count;
    if (floats_ == nullptr) return no_memory;
  }
  // Activations are padded, so a table with more columns may need the same bytes but more quantised elements.
  const bool more_activations = activation_bytes > activation_bytes_ || quantised_count > quantised_count_;
  if ((with_activations || !table.is_float()) && more_activations) {
    activation_bytes = std::max(activation_bytes, activation_bytes_);
    quantised_count = std::max(quantised_count, quantised_count_);
    activations_.reset(static_cast<unsigned char*>(Allocate(activation_bytes)));
    quantised_.reset(static_cast<int16_t*>(Allocate(quantised_count * sizeof(int16_t))));
    const bool done = activations_ != nullptr && quantised_ != nullptr;
    activation_bytes_ = done ? activation_bytes : 0;
    quantised_count_ = done ? quantised_count : 0;
    if (!done) return no_memory;
  }
  return Status();
}

Status PackedHidden::ReserveScaled(size_t cols, size_t tokens) {
  const size_t count = std::min(tokens, kMaxBatch) * cols;
  if (count <= scaled_count_) return Status();
  scaled_.reset(static_cast<float*>(Allocate(count * sizeof(float))));
  scaled_count_ = scaled_ == nullptr ? 0 : count;
  if (scaled_ != nullptr) return Status();
  return Status::Error(TIED_OUT_OF_MEMORY, "no memory for the hidden states of %zu tokens", tokens);
}

const float* PackedHidden::Scaled(const float* hidden, size_t tokens, size_t cols, float scale) {
  for (size_t i = 0; i < tokens * cols; ++i) scaled_.get()[i] = hidden[i] * scale;
  return scaled_.get();
}

void PackedHidden::PackFloats(const kernels::Kernels& kernels, const float* hidden, size_t tokens, size_t cols) {
  kernels.floats->pack(hidden, tokens, cols, floats_.get());
}

void PackedHidden::PackFloatsApart(const kernels::Kernels& kernels, const float* hidden, size_t tokens, size_t cols) {
  const size_t padded = kernels::PackedTokenSize(cols);
  for (size_t t = 0; t < tokens; ++t) kernels.floats->pack(hidden + t * cols, 1, cols, floats_.get() + t * padded);
}

void PackedHidden::PackActivations(kernels::PackActivations* pack, const float* hidden, size_t tokens, size_t cols) {
  for (size_t t = 0; t < tokens; ++t) {
    const kernels::ActivationScale scale =
        kernels::QuantiseHidden(hidden + t * cols, cols, quantised_.get() + t * cols);
    scales_[t] = scale.scale;
    totals_[t] = scale.total;
  }
  activation_tokens_ = tokens;
  pack(quantised_.get(), tokens, cols, activations_.get());
}

}  // namespace tied::runtime
