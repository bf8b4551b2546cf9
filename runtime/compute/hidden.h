// Hidden states in the layouts that the kernels read, in scratch memory that a session keeps.
#ifndef TIED_RUNTIME_COMPUTE_HIDDEN_H_
#define TIED_RUNTIME_COMPUTE_HIDDEN_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "kernels/activations.h"
#include "kernels/kernels.h"
#include "runtime/file/status.h"
#include "runtime/file/table.h"

namespace tied::runtime {

// Most tokens in one pass over the table; more tokens need further passes.
inline constexpr size_t kMaxBatch = 64;

class PackedHidden {
 public:
  // Allocates memory for batches of up to `tokens` on a table. with_activations: also for its screen.
  Status Reserve(const TableView& table, size_t tokens, bool with_activations);

  // Allocates memory for Scaled().
  Status ReserveScaled(size_t cols, size_t tokens);

  // A copy of hidden, [tokens, cols], times `scale`; valid until the next call.
  const float* Scaled(const float* hidden, size_t tokens, size_t cols, float scale);

  // hidden: [tokens, cols], at most the reserved size.
  void PackFloats(const kernels::Kernels& kernels, const float* hidden, size_t tokens, size_t cols);
  // Packs each token as a batch of one, for floats_of(token).
  void PackFloatsApart(const kernels::Kernels& kernels, const float* hidden, size_t tokens, size_t cols);
  // pack: of the kernels that will read the activations.
  void PackActivations(kernels::PackActivations* pack, const float* hidden, size_t tokens, size_t cols);

  const float* floats() const { return floats_.get(); }
  const float* floats_of(size_t token, size_t cols) const {
    return floats_.get() + token * kernels::PackedTokenSize(cols);
  }
  const int16_t* quantised(size_t token, size_t cols) const { return quantised_.get() + token * cols; }
  kernels::ActivationsView activations() const { return {activations_.get(), totals_, activation_tokens_}; }
  double scale(size_t token) const { return scales_[token]; }

 private:
  struct Free {
    void operator()(void* memory) const;
  };
  template <class T>
  using Scratch = std::unique_ptr<T, Free>;

  Scratch<float> floats_;
  size_t float_count_ = 0;
  Scratch<float> scaled_;
  size_t scaled_count_ = 0;
  Scratch<unsigned char> activations_;
  Scratch<int16_t> quantised_;  // before they are packed
  size_t activation_bytes_ = 0;
  size_t quantised_count_ = 0;
  size_t activation_tokens_ = 0;
  double scales_[kMaxBatch];
  double totals_[kMaxBatch];
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_HIDDEN_H_
