#include "converter/graph/table_source.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/input_file.h"
#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

constexpr size_t kBlockBytes = 8u << 20;

int SignedNibble(int nibble) { return (nibble ^ 8) - 8; }

// Reads the rows of a table block by block.
class BlockReader {
 public:
  explicit BlockReader(const TableSource& source)
      : source_(source),
        cols_(static_cast<size_t>(source.cols())),
        row_bytes_(source.stored_row_bytes()),
        rows_per_block_(std::max<uint64_t>(1, kBlockBytes / (source.cols() * sizeof(float)))) {
    if (source.tensor.path.empty()) return;
    file_ = std::make_unique<InputFile>(source.tensor.path);
    (void)posix_fadvise(file_->descriptor(), 0, 0, POSIX_FADV_SEQUENTIAL);
  }

  bool done() const { return next_ == source_.rows(); }

  // The next block; valid until the next call.
  RowBlock Read() {
    const size_t count = CountNext();
    first_ = source_.IdOf(next_);
    const auto span = static_cast<size_t>(source_.IdOf(next_ + count - 1) - first_ + 1);
    stored_.resize((span * row_bytes_ + sizeof(float) - 1) / sizeof(float));
    auto* stored = reinterpret_cast<char*>(stored_.data());
    if (source_.transposed) {
      ReadTransposed(span, stored);
    } else {
      ReadBytes(first_ * row_bytes_, stored, span * row_bytes_);
    }
    if (source_.quantised()) ReadQuantisation(span);
    if (count < span) MoveKeptToFront(count, stored);
    RowBlock block{next_, count, Values(stored, count), stored, nullptr, nullptr};
    if (source_.quantised()) block.scales = scales_.data();
    if (source_.quantised()) block.zero_points = zero_points_.data();
    next_ += count;
    return block;
  }

 private:
  // How many of the next rows lie near enough to each other to be read at once.
  size_t CountNext() const {
    uint64_t count = std::min(rows_per_block_, source_.rows() - next_);
    while (source_.IdOf(next_ + count - 1) - source_.IdOf(next_) >= rows_per_block_) --count;
    return static_cast<size_t>(count);
  }

  // Of the rows that were read.
  void MoveKeptToFront(size_t count, char* stored) {
    const size_t per_row = source_.quantised() ? source_.scales_per_row() : 0;
    for (size_t r = 0; r < count; ++r) {
      const auto from = static_cast<size_t>(source_.IdOf(next_ + r) - first_);
      std::memmove(stored + r * row_bytes_, stored + from * row_bytes_, row_bytes_);
      for (size_t i = 0; i < per_row; ++i) {
        scales_[r * per_row + i] = scales_[from * per_row + i];
        zero_points_[r * per_row + i] = zero_points_[from * per_row + i];
      }
    }
  }

  void ReadBytes(uint64_t first, char* bytes, size_t size) const {
    if (file_ == nullptr) {
      source_.tensor.ReadRange(first, bytes, size);
    } else {
      file_->ReadAt(source_.tensor.offset + first, bytes, size);
      source_.tensor.MapBytes(bytes, size);
    }
  }

  void ReadTransposed(size_t count, char* stored) {
    if (source_.quantised() && source_.tensor.quantisation->bits == 4) return TransposeNibbles(count, stored);
    switch (ElementSize(source_.tensor.type)) {
      case 4:
        return TransposeColumns<uint32_t>(count, reinterpret_cast<uint32_t*>(stored));
      case 2:
        return TransposeColumns<uint16_t>(count, reinterpret_cast<uint16_t*>(stored));
      default:
        return TransposeColumns<uint8_t>(count, reinterpret_cast<uint8_t*>(stored));
    }
  }

  // A run of `count` elements from each stored row is a column of the block.
  template <class Element>
  void TransposeColumns(size_t count, Element* block) {
    run_.resize((kRuns * count * sizeof(Element) + sizeof(float) - 1) / sizeof(float));
    auto* run = reinterpret_cast<Element*>(run_.data());
    for (size_t col = 0; col < cols_; col += kRuns) {
      const size_t runs = std::min(kRuns, cols_ - col);
      for (size_t i = 0; i < runs; ++i) {
        ReadBytes(((col + i) * source_.vocabulary() + first_) * sizeof(Element),
                  reinterpret_cast<char*>(run + i * count), count * sizeof(Element));
      }
      for (size_t r = 0; r < count; ++r) {
        for (size_t i = 0; i < runs; ++i) block[r * cols_ + col + i] = run[i * count + r];
      }
    }
  }

  // The same of four-bit integers, which follow each other through all stored rows.
  void TransposeNibbles(size_t count, char* block) {
    std::memset(block, 0, count * row_bytes_);
    for (size_t col = 0; col < cols_; ++col) {
      const uint64_t first = col * source_.vocabulary() + first_;
      std::vector<char> run((first + count + 1) / 2 - first / 2);
      ReadBytes(first / 2, run.data(), run.size());
      for (size_t r = 0; r < count; ++r) {
        const size_t place = static_cast<size_t>(first % 2) + r;
        const int nibble = static_cast<unsigned char>(run[place / 2]) >> (place % 2 * 4) & 15;
        char& byte = block[r * row_bytes_ + col / 2];
        byte = static_cast<char>(static_cast<unsigned char>(byte) | nibble << (col % 2 * 4));
      }
    }
  }

  // Scales and zero points of the rows first_ … first_ + count.
  void ReadQuantisation(size_t count) {
    const size_t per_row = source_.scales_per_row();
    if (per_row == 0 && !scales_.empty()) return;
    const size_t first = per_row == 0 ? 0 : static_cast<size_t>(first_);
    const size_t rows = per_row == 0 ? 1 : count;
    const size_t scales = std::max<size_t>(per_row, 1);
    if (source_.transposed && source_.tensor.quantisation->block > 0) return ReadTransposedQuantisation(rows, scales);
    scales_ = ReadScales(first * scales, rows * scales);
    ReadZeroPoints(first, rows, scales);
  }

  // A run of `count` scales, and of zero points, of each block of columns.
  void ReadTransposedQuantisation(size_t count, size_t blocks) {
    const Quantisation& quantisation = *source_.tensor.quantisation;
    const auto bits = static_cast<size_t>(quantisation.bits);
    scales_.resize(count * blocks);
    zero_points_.assign(count * blocks, quantisation.default_zero_point);
    for (size_t block = 0; block < blocks; ++block) {
      const size_t first = block * static_cast<size_t>(source_.vocabulary()) + static_cast<size_t>(first_);
      const std::vector<float> scales = ReadScales(first, count);
      for (size_t r = 0; r < count; ++r) scales_[r * blocks + block] = scales[r];
      if (quantisation.zero_points.length == 0) continue;
      const size_t begin = first * bits / 8;
      std::vector<char> bytes(((first + count) * bits + 7) / 8 - begin);
      quantisation.zero_points.ReadRange(begin, bytes.data(), bytes.size());
      const size_t skipped = first % (8 / bits);
      for (size_t r = 0; r < count; ++r) zero_points_[r * blocks + block] = Integer(bytes.data(), skipped + r);
    }
  }

  std::vector<float> ReadScales(size_t first, size_t count) const {
    TensorRef part = source_.tensor.quantisation->scales;
    const size_t size = ElementSize(part.type);
    std::string bytes(count * size, '\0');
    part.ReadRange(first * size, bytes.data(), bytes.size());
    part.SetBytes(std::move(bytes));
    return part.ReadFloats();
  }

  void ReadZeroPoints(size_t first, size_t rows, size_t scales) {
    const Quantisation& quantisation = *source_.tensor.quantisation;
    zero_points_.assign(rows * scales, quantisation.default_zero_point);
    if (quantisation.zero_points.length == 0) return;
    const size_t stored = quantisation.block > 0 ? quantisation.zero_points_per_row : 1;
    const size_t begin = first * stored * static_cast<size_t>(quantisation.bits) / 8;
    const size_t end = ((first + rows) * stored * static_cast<size_t>(quantisation.bits) + 7) / 8;
    std::vector<char> bytes(end - begin);
    quantisation.zero_points.ReadRange(begin, bytes.data(), bytes.size());
    const size_t skipped = first * stored % (8 / static_cast<size_t>(quantisation.bits));
    for (size_t i = 0; i < rows * scales; ++i) {
      zero_points_[i] = Integer(bytes.data(), skipped + i / scales * stored + i % scales);
    }
  }

  // Number `i` of a row of integers.
  int Integer(const char* row, size_t i) const {
    const bool is_signed = source_.tensor.type == ElementType::kInt8 || source_.tensor.type == ElementType::kInt4;
    if (source_.tensor.quantisation->bits == 8) {
      return is_signed ? static_cast<signed char>(row[i]) : static_cast<unsigned char>(row[i]);
    }
    const int nibble = static_cast<unsigned char>(row[i / 2]) >> (i % 2 * 4) & 15;
    return is_signed ? SignedNibble(nibble) : nibble;
  }

  const float* Values(const char* stored, size_t count) {
    if (source_.tensor.type == ElementType::kFloat32) return stored_.data();
    values_.resize(count * cols_);
    if (source_.quantised()) {
      for (size_t r = 0; r < count; ++r) Dequantise(stored + r * row_bytes_, r);
      return values_.data();
    }
    const auto* bits = reinterpret_cast<const uint16_t*>(stored);
    const bool half = source_.tensor.type == ElementType::kFloat16;
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = half ? FloatOfHalf(bits[i]) : FloatOfBFloat(bits[i]);
    return values_.data();
  }

  void Dequantise(const char* stored, size_t row) {
    const size_t per_row = source_.scales_per_row();
    const auto block = static_cast<size_t>(source_.tensor.quantisation->block);
    const size_t run = block == 0 ? cols_ : block;
    float* values = &values_[row * cols_];
    for (size_t first = 0; first < cols_; first += run) {
      const size_t scale = row * per_row + first / run;
      const size_t end = std::min(cols_, first + run);
      for (size_t k = first; k < end; ++k) {
        values[k] = static_cast<float>(Integer(stored, k) - zero_points_[scale]) * scales_[scale];
      }
    }
  }

  // Columns that are written together: one cache line.
  static constexpr size_t kRuns = 16;

  const TableSource& source_;
  const size_t cols_;
  const size_t row_bytes_;
  const uint64_t rows_per_block_;
  std::unique_ptr<InputFile> file_;
  uint64_t next_ = 0;          // of the rows that are kept
  uint64_t first_ = 0;         // token id of the first of the block
  std::vector<float> stored_;  // for its alignment
  std::vector<float> values_;
  std::vector<float> scales_;
  std::vector<int> zero_points_;
  std::vector<float> run_;
};

}  // namespace

size_t TableSource::scales_per_row() const {
  const Quantisation& quantisation = *tensor.quantisation;
  if (quantisation.block == 0) return quantisation.scales.elements() > 1 ? 1 : 0;
  return static_cast<size_t>((cols() - 1) / static_cast<uint64_t>(quantisation.block) + 1);
}

size_t TableSource::stored_row_bytes() const {
  if (quantised() && tensor.quantisation->row_bytes > 0) return tensor.quantisation->row_bytes;
  return static_cast<size_t>(cols()) * ElementSize(tensor.type);
}

void TableSource::CheckQuantisation(const std::string& what) const {
  const Quantisation& quantisation = *tensor.quantisation;
  const uint64_t scales = quantisation.scales.elements();
  const uint64_t zero_points = quantisation.zero_points.length;
  if (zero_points != 0 && quantisation.zero_points.type != tensor.type) {
    throw ConvertError(what + ": its zero points are of another type than its integers");
  }
  if (!IsFloat(quantisation.scales.type)) throw ConvertError(what + ": its scales are no floating-point numbers");
  if (quantisation.block > 0) {
    if (quantisation.axis != (transposed ? 1 : 0)) {
      throw ConvertError(what + ": blocks that run along the vocabulary are not supported");
    }
    if (scales != vocabulary() * scales_per_row()) {
      throw ConvertError(what + ": has " + std::to_string(scales) + " scales, blocks of " +
                         std::to_string(quantisation.block) + " columns need " +
                         std::to_string(vocabulary() * scales_per_row()));
    }
    const uint64_t bits = vocabulary() * quantisation.zero_points_per_row * static_cast<uint64_t>(quantisation.bits);
    if (zero_points != 0 && zero_points != (bits + 7) / 8) {
      throw ConvertError(what + ": its zero points do not fit its scales");
    }
  } else if (scales != 1) {
    if (scales != vocabulary() || quantisation.axis != (transposed ? 1 : 0)) {
      throw ConvertError(what + ": its scales do not run along the vocabulary");
    }
  }
  if (quantisation.block == 0 && zero_points != 0 && zero_points != scales) {
    throw ConvertError(what + ": has " + std::to_string(zero_points) + " zero points for " + std::to_string(scales) +
                       " scales");
  }
}

void TableSource::ForEachBlock(const Visit& visit) const {
  for (BlockReader reader(*this); !reader.done();) {
    if (!visit(reader.Read())) return;
  }
}

// Blocks of both have the same rows: how many depends on the width alone.
void ForEachBlockOfBoth(const TableSource& a, const TableSource& b, const VisitBoth& visit) {
  BlockReader reader_b(b);
  for (BlockReader reader_a(a); !reader_a.done();) {
    const RowBlock block_a = reader_a.Read();
    if (!visit(block_a, reader_b.Read())) return;
  }
}

bool SameValues(const TableSource& a, const TableSource& b, const Progress& progress) {
  if (a.rows() != b.rows() || a.cols() != b.cols()) return false;
  uint64_t done = 0;
  bool same = true;
  ForEachBlockOfBoth(a, b, [&](const RowBlock& block_a, const RowBlock& block_b) {
    const size_t size = block_a.count * static_cast<size_t>(a.cols()) * sizeof(float);
    same = std::memcmp(block_a.values, block_b.values, size) == 0;
    done += size;
    if (same) progress(done, a.float_bytes());
    return same;
  });
  return same;
}

}  // namespace tied::converter
