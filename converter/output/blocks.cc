#include "converter/output/blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "converter/output/recorded_hidden.h"
#include "converter/output/rounding.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

using format::DataType;
using format::kBlockCols;

constexpr float kZeroPointSteps = 16;

struct Range {
  float lowest, highest;
};
constexpr Range kNibbles = {0, 15}, kBytes = {-128, 127};

// Columns beyond the last have the weight 0.
struct Block {
  float values[kBlockCols];
  float weights[kBlockCols];
  float weight = 0;  // of all columns together
  float mean = 0;    // weighted
  float smallest = 0, largest = 0;
};

// The integers q = Round(value / scale + zero), and weighted sums over the columns.
struct Fit {
  float scale, zero;
  float cost;  // of the squared errors
  float q, qq, qv;
};

// Compilers turn operators on this type into vector instructions; they did not vectorise the same loops over floats.
constexpr size_t kLanes = 4;
using Floats = float __attribute__((vector_size(kLanes * sizeof(float))));

Floats Load(const float* values) {
  Floats floats;
  std::memcpy(&floats, values, sizeof floats);
  return floats;
}

float Sum(Floats lanes) { return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]); }

// See rounding.h.
Floats RoundAll(Floats value, Range range) {
  const Floats lowest = Floats{} + range.lowest, highest = Floats{} + range.highest;
  const Floats above = value < lowest ? lowest : value;
  const Floats limited = above > highest ? highest : above;
  return (limited + 0x1.8p23f) - 0x1.8p23f;
}

Fit Evaluate(const Block& block, float scale, float zero, Range range) {
  const float inverse = 1 / scale;
  Floats cost = {}, q = {}, qq = {}, qv = {};
  for (size_t k = 0; k < kBlockCols; k += kLanes) {
    const Floats value = Load(&block.values[k]), weight = Load(&block.weights[k]);
    const Floats integer = RoundAll(value * inverse + zero, range);
    const Floats error = (integer - zero) * scale - value;
    const Floats weighted = weight * integer;
    cost += weight * (error * error);
    q += weighted;
    qq += weighted * integer;
    qv += weighted * value;
  }
  return {scale, zero, Sum(cost), Sum(q), Sum(qq), Sum(qv)};
}

class BlockFitter {
 public:
  explicit BlockFitter(bool half_scales) : half_scales_(half_scales) {}

  // The range of the candidates always contains 0, because zero points lie in the range of the integers. The first one
  // covers all values; only a smaller weighted error replaces it.
  Fit FitNibbles(const Block& block) const {
    const float low = std::min(block.smallest, 0.0f), high = std::max(block.largest, 0.0f);
    if (low == high) return {1, 8, 0, 0, 0, 0};
    Fit best = {};
    for (const float steps : {15.0f, 14.0f, 13.0f, 16.0f}) {
      float scale = high / steps - low / steps;
      float zero = 7.5f - (high / 2 + low / 2) / scale;
      Fit fit = {};
      for (int refinement = 0; refinement < 3; ++refinement) {
        const float stored_scale = Store(scale), stored_zero = StoredZeroPoint(zero);
        if (stored_scale == fit.scale && stored_zero == fit.zero) break;
        fit = Evaluate(block, stored_scale, stored_zero, kNibbles);
        if (best.scale == 0 || fit.cost < best.cost) best = fit;
        const float mean = fit.q / block.weight;
        const float variance = fit.qq - fit.q * mean, covariance = fit.qv - mean * (block.weight * block.mean);
        if (!(variance > 0 && covariance > 0)) break;
        scale = covariance / variance;
        zero = mean - block.mean / scale;
      }
    }
    return best;
  }

  // Symmetric. A negative scale lets the largest magnitude become -128.
  Fit FitBytes(const Block& block) const {
    const float end = -block.smallest > block.largest ? block.smallest : block.largest;
    if (end == 0) return {1, 0, 0, 0, 0, 0};
    Fit best = Evaluate(block, Store(std::fabs(end) / 127), 0, kBytes);
    for (const float steps : {-128.0f, -127.0f, 127.0f, -126.0f, -125.0f}) {
      float scale = end / steps;
      Fit fit = {};
      for (int refinement = 0; refinement < 2; ++refinement) {
        const float stored_scale = Store(scale);
        if (stored_scale == fit.scale) break;
        fit = Evaluate(block, stored_scale, 0, kBytes);
        if (fit.cost < best.cost) best = fit;
        if (!(fit.qq > 0) || fit.qv == 0) break;
        scale = fit.qv / fit.qq;
      }
    }
    return best;
  }

 private:
  // The scale as the file has it, never 0.
  float Store(float scale) const {
    const float least = half_scales_ ? 0x1p-24f : std::numeric_limits<float>::min();
    const float kept = std::copysign(std::max(std::fabs(scale), least), scale);
    return half_scales_ ? FloatOfHalf(HalfOf(kept)) : kept;
  }

  static float StoredZeroPoint(float zero) { return Round(zero * kZeroPointSteps, 0, 255) / kZeroPointSteps; }

  const bool half_scales_;
};

// Sets all but the weights. Returns false for NaN and infinity.
bool Load(const float* values, size_t count, Block* block) {
  std::fill_n(block->values, kBlockCols, values[0]);
  std::copy_n(values, count, block->values);
  Floats smallest = Floats{} + values[0], largest = smallest, mean = {}, zeros = {};
  for (size_t k = 0; k < kBlockCols; k += kLanes) {
    const Floats value = Load(&block->values[k]);
    smallest = value < smallest ? value : smallest;
    largest = value > largest ? value : largest;
    mean += Load(&block->weights[k]) * value;
    zeros += value * 0;  // NaN for NaN and infinity
  }
  block->smallest = std::min({smallest[0], smallest[1], smallest[2], smallest[3]});
  block->largest = std::max({largest[0], largest[1], largest[2], largest[3]});
  block->mean = Sum(mean) / block->weight;
  return Sum(zeros) == 0;
}

void LoadWeights(const std::vector<float>& weights, size_t first, size_t count, Block* block) {
  block->weight = 0;
  for (size_t k = 0; k < kBlockCols; ++k) {
    block->weights[k] = k >= count ? 0.0f : weights.empty() ? 1.0f : weights[first + k];
    block->weight += block->weights[k];
  }
}

void StoreNibbles(const float* integers, size_t count, char* packed) {
  for (size_t i = 0; i < kBlockCols / 2; ++i) {
    const auto nibble = [&](size_t k) { return k < count ? static_cast<int>(integers[k]) : 8; };
    packed[i] = static_cast<char>(nibble(2 * i) | nibble(2 * i + 1) << 4);
  }
}

// Weights of the columns from their mean squares, relative to the mean of their block. `floor` is added, so that errors
// in columns that were small in a sample cost something, too.
std::vector<float> WeightsOf(const std::vector<double>& squares, double floor) {
  std::vector<float> weights(squares.size());
  for (size_t first = 0; first < squares.size(); first += kBlockCols) {
    const size_t end = std::min(first + kBlockCols, squares.size());
    const double sum = std::accumulate(&squares[first], squares.data() + end, 0.0);
    const double mean = sum / static_cast<double>(end - first);
    for (size_t k = first; k < end; ++k) {
      weights[k] = static_cast<float>((mean > 0 && std::isfinite(mean) ? squares[k] / mean : 1) + floor);
    }
  }
  return weights;
}

std::vector<double> SquaresOf(const std::string& recorded, size_t cols) {
  constexpr size_t kMostTokens = 4096;
  const std::vector<float> hidden = ReadRecordedHidden(recorded, cols, kMostTokens);
  std::vector<double> squares(cols);
  for (size_t i = 0; i < hidden.size(); ++i) {
    const double value = static_cast<double>(hidden[i]);
    if (std::isfinite(value)) squares[i % cols] += value * value;
  }
  return squares;
}

// Of finite values: the sum of squares of each column, and the largest magnitude.
struct Magnitudes {
  std::vector<double> squares;
  float largest = 0;

  // Of some rows alone.
  void Measure(const RowBlock& rows) {
    const size_t cols = squares.size();
    largest = 0;
    std::fill(squares.begin(), squares.end(), 0.0);
    for (size_t r = 0; r < rows.count; ++r) {
      const float* row = rows.values + r * cols;
      for (size_t k = 0; k < cols; ++k) {
        const float magnitude = std::fabs(row[k]);
        const float finite = magnitude <= std::numeric_limits<float>::max() ? magnitude : 0;
        largest = finite > largest ? finite : largest;
        squares[k] += static_cast<double>(finite) * static_cast<double>(finite);
      }
    }
  }

  void Add(const Magnitudes& others) {
    largest = std::max(largest, others.largest);
    for (size_t k = 0; k < squares.size(); ++k) squares[k] += others.squares[k];
  }
};

// False if scales would overflow float16, or if so many are subnormal that their rounding matters.
bool FitFloat16(const Magnitudes& magnitudes, uint64_t rows) {
  const double sum = std::accumulate(magnitudes.squares.begin(), magnitudes.squares.end(), 0.0);
  const double mean = sum / static_cast<double>(rows * magnitudes.squares.size());
  return magnitudes.largest < 0x1p18f && (sum == 0 || std::sqrt(mean) > 0x1p-13);
}

}  // namespace

void ChooseBlocks(const TableSource& table, const std::string& recorded, const Progress& progress,
                  TableEncoding* encoding) {
  const auto cols = static_cast<size_t>(table.cols());
  TableSource whole = table;  // so that a row is the same whichever others are kept
  whole.kept_ids = nullptr;
  Magnitudes magnitudes;
  magnitudes.squares.resize(cols);
  std::vector<Magnitudes> of_blocks(TableSource::Threads(), magnitudes);
  const auto measure = [&](size_t thread, const RowBlock& rows) { of_blocks[thread].Measure(rows); };
  const auto add = [&](size_t thread, const RowBlock&) {
    magnitudes.Add(of_blocks[thread]);
    return true;
  };
  whole.ForEachBlockInThreads(of_blocks.size(), measure, add, progress);
  encoding->scale_of = format::ScaleOf::kBlock;
  encoding->zero_points = encoding->type == DataType::Int4;
  encoding->half_scales = FitFloat16(magnitudes, whole.rows());
  encoding->column_weights =
      recorded.empty() ? WeightsOf(magnitudes.squares, 0.02) : WeightsOf(SquaresOf(recorded, cols), 0.001);
}

void EncodeBlocks(const TableEncoding& encoding, const RowBlock& rows, size_t cols, EncodedRows* encoded,
                  std::vector<float>* decoded) {
  const bool nibbles = encoding.type == DataType::Int4;
  const char* const type = format::NameOf(encoding.type);
  if (nibbles != encoding.zero_points) throw std::logic_error("int4 is encoded with zero points, int8 without");
  const Range range = nibbles ? kNibbles : kBytes;
  const auto blocks = static_cast<size_t>(format::BlocksOf(cols));
  const auto row_bytes = static_cast<size_t>(format::RowBytes(encoding.type, cols));
  const BlockFitter fitter(encoding.half_scales);
  Block block;
  // One column of blocks after the other, because all of its blocks have the same weights.
  for (size_t b = 0; b < blocks; ++b) {
    const size_t first = b * kBlockCols, width = std::min(kBlockCols, cols - first);
    LoadWeights(encoding.column_weights, first, width, &block);
    for (size_t r = 0; r < rows.count; ++r) {
      if (!Load(rows.values + r * cols + first, width, &block)) {
        throw RowError(rows.first + r, std::string("is not finite, which ") + type + " cannot hold");
      }
      const Fit fit = nibbles ? fitter.FitNibbles(block) : fitter.FitBytes(block);
      if (!std::isfinite(fit.scale)) {
        throw RowError(rows.first + r, std::string("is too large for ") + type + " with float16 scales");
      }
      const float inverse = 1 / fit.scale;
      float integers[kBlockCols];
      float* meant = decoded->data() + r * cols + first;
      for (size_t k = 0; k < width; ++k) {
        integers[k] = Round(block.values[k] * inverse + fit.zero, range.lowest, range.highest);
        meant[k] = (integers[k] - fit.zero) * fit.scale;
      }
      char* values = &encoded->values[r * row_bytes + (nibbles ? first / 2 : first)];
      if (nibbles) StoreNibbles(integers, width, values);
      for (size_t k = 0; k < width && !nibbles; ++k) values[k] = static_cast<char>(static_cast<int8_t>(integers[k]));
      const size_t at = r * blocks + b;
      if (encoding.half_scales) encoded->half_scales[at] = HalfOf(fit.scale);
      if (!encoding.half_scales) encoded->scales[at] = fit.scale;
      if (nibbles) encoded->zero_points[at] = static_cast<char>(static_cast<int>(fit.zero * kZeroPointSteps));
    }
  }
}

}  // namespace tied::converter
