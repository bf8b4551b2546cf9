#include "converter/graph/block_reader.h"

#include <fcntl.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "schema/narrow_floats.h"

namespace tied::converter {

namespace {

int SignedNibble(int nibble) { return (nibble ^ 8) - 8; }

}  // namespace

std::shared_ptr<const InputFile> OpenFile(const TableSource& source) {
  if (source.tensor.path.empty()) return nullptr;
  auto file = std::make_shared<const InputFile>(source.tensor.path);
  (void)posix_fadvise(file->descriptor(), 0, 0, POSIX_FADV_SEQUENTIAL);
  return file;
}

RowBlock BlockReader::Read(const RowRun& run) {
  const size_t count = run.count;
  next_ = run.first;
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
  return block;
}

void BlockReader::MoveKeptToFront(size_t count, char* stored) {
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

void BlockReader::ReadBytes(uint64_t first, char* bytes, size_t size) const {
  if (file_ == nullptr) {
    source_.tensor.ReadRange(first, bytes, size);
  } else {
    file_->ReadAt(source_.tensor.offset + first, bytes, size);
    source_.tensor.MapBytes(bytes, size);
  }
}

void BlockReader::ReadTransposed(size_t count, char* stored) {
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

template <class Element>
void BlockReader::TransposeColumns(size_t count, Element* block) {
  run_.resize((kRuns * count * sizeof(Element) + sizeof(float) - 1) / sizeof(float));
  auto* run = reinterpret_cast<Element*>(run_.data());
  for (size_t col = 0; col < cols_; col += kRuns) {
    const size_t runs = std::min(kRuns, cols_ - col);
    for (size_t i = 0; i < runs; ++i) {
      ReadBytes(((col + i) * source_.vocabulary() + first_) * sizeof(Element), reinterpret_cast<char*>(run + i * count),
                count * sizeof(Element));
    }
    for (size_t r = 0; r < count; ++r) {
      for (size_t i = 0; i < runs; ++i) block[r * cols_ + col + i] = run[i * count + r];
    }
  }
}

void BlockReader::TransposeNibbles(size_t count, char* block) {
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

void BlockReader::ReadQuantisation(size_t count) {
  const size_t per_row = source_.scales_per_row();
  if (per_row == 0 && !scales_.empty()) return;
  const size_t first = per_row == 0 ? 0 : static_cast<size_t>(first_);
  const size_t rows = per_row == 0 ? 1 : count;
  const size_t scales = std::max<size_t>(per_row, 1);
  if (source_.transposed && source_.tensor.quantisation->block > 0) return ReadTransposedQuantisation(rows, scales);
  scales_ = ReadScales(first * scales, rows * scales);
  ReadZeroPoints(first, rows, scales);
}

void BlockReader::ReadTransposedQuantisation(size_t count, size_t blocks) {
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

std::vector<float> BlockReader::ReadScales(size_t first, size_t count) const {
  TensorRef part = source_.tensor.quantisation->scales;
  const size_t size = ElementSize(part.type);
  std::string bytes(count * size, '\0');
  part.ReadRange(first * size, bytes.data(), bytes.size());
  part.SetBytes(std::move(bytes));
  return part.ReadFloats();
}

void BlockReader::ReadZeroPoints(size_t first, size_t rows, size_t scales) {
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

int BlockReader::Integer(const char* row, size_t i) const {
  const bool is_signed = source_.tensor.type == ElementType::kInt8 || source_.tensor.type == ElementType::kInt4;
  if (source_.tensor.quantisation->bits == 8) {
    return is_signed ? static_cast<signed char>(row[i]) : static_cast<unsigned char>(row[i]);
  }
  const int nibble = static_cast<unsigned char>(row[i / 2]) >> (i % 2 * 4) & 15;
  return is_signed ? SignedNibble(nibble) : nibble;
}

const float* BlockReader::Values(const char* stored, size_t count) {
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

void BlockReader::Dequantise(const char* stored, size_t row) {
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

}  // namespace tied::converter
