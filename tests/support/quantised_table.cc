#include "tests/support/quantised_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tied::test {

namespace {

using format::DataType;

std::unique_ptr<format::Plane> Add(TiedFile* file, const void* data, size_t bytes) {
  return std::make_unique<format::Plane>(file->AddPlane(data, bytes));
}
template <class T>
std::unique_ptr<format::Plane> Add(TiedFile* file, const std::vector<T>& values) {
  return Add(file, values.data(), values.size() * sizeof(T));
}

uint32_t Bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

float MaxMagnitude(const float* values, size_t count) {
  float largest = 0;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::fabs(values[i]));
  return largest;
}

// Rounds to ten bits after the leading one, within the range of normal float16 numbers, or to zero.
uint16_t HalfOf(float* value) {
  int exponent;
  *value = std::fabs(*value) < 0x1p-14f ? 0 : std::clamp(*value, -60000.0f, 60000.0f);
  const float fraction = std::nearbyint(std::frexp(*value, &exponent) * 2048);
  *value = std::ldexp(fraction, exponent - 11);
  if (*value == 0) return 0;
  const float mantissa = std::frexp(std::fabs(*value), &exponent) * 2048;
  return static_cast<uint16_t>((*value < 0 ? 0x8000 : 0) | (exponent + 14) << 10 | (static_cast<int>(mantissa) & 1023));
}

uint16_t BFloatOf(float* value) {
  const uint32_t bits = Bits(*value) & 0xffff0000u;
  std::memcpy(value, &bits, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

struct Bytes {
  std::vector<uint8_t> values;
  std::vector<float> scales;
  std::vector<uint16_t> half_scales;
  std::vector<uint8_t> zero_points;
};

// Appends whole blocks, with even columns in the lower half of each byte.
void AppendNibbles(const std::vector<uint8_t>& row, std::vector<uint8_t>* packed) {
  std::vector<uint8_t> bytes((row.size() + 31) / 32 * 16, 0x88);
  for (size_t k = 0; k < row.size(); ++k) {
    const int shift = k % 2 == 0 ? 0 : 4;
    bytes[k / 2] = static_cast<uint8_t>((bytes[k / 2] & ~(15 << shift)) | row[k] << shift);
  }
  packed->insert(packed->end(), bytes.begin(), bytes.end());
}

Bytes BytesOf(const TableForm& form, size_t rows, size_t cols, std::vector<float>* values) {
  Bytes bytes;
  const bool nibbles = form.type == DataType::Int4;
  const int lowest = form.type == DataType::Int8 ? -128 : 0, highest = nibbles ? 15 : lowest + 255;
  const size_t run = nibbles || form.blocks ? 32 : cols;
  const float table_largest = MaxMagnitude(values->data(), rows * cols);
  for (size_t r = 0; r < rows; ++r) {
    std::vector<uint8_t> row;
    for (size_t first = 0; first < cols; first += run) {
      float* numbers = &(*values)[r * cols + first];
      const size_t count = std::min(run, cols - first);
      const float largest = form.one_scale ? table_largest : MaxMagnitude(numbers, count);
      float scale = largest == 0 ? 1 : std::max(largest / (nibbles ? 8 : 100), form.half_scales ? 0x1p-14f : 0);
      if (form.half_scales) bytes.half_scales.push_back(HalfOf(&scale));
      const int shift = static_cast<int>((r + first / run) % 7) * (form.one_scale ? 0 : 1) - 3;
      const int zero_point = form.zero_points ? (lowest + highest + 1) / 2 + shift : nibbles ? 8 : 0;
      // Zero points of nibbles need not be whole.
      const int sixteenths = form.half_scales && form.zero_points && nibbles ? static_cast<int>(r * 5 + first) % 16 : 0;
      const float part = static_cast<float>(sixteenths) / 16;
      for (size_t k = 0; k < count; ++k) {
        const int quantised =
            std::clamp(static_cast<int>(std::nearbyint(numbers[k] / scale + part)) + zero_point, lowest, highest);
        row.push_back(static_cast<uint8_t>(quantised));
        numbers[k] = (static_cast<float>(quantised - zero_point) - part) * scale;
      }
      if (form.one_scale && r > 0) continue;
      bytes.scales.push_back(scale);
      bytes.zero_points.push_back(static_cast<uint8_t>(zero_point * (nibbles ? 16 : 1) + sixteenths));
    }
    if (nibbles) AppendNibbles(row, &bytes.values);
    if (!nibbles) bytes.values.insert(bytes.values.end(), row.begin(), row.end());
  }
  return bytes;
}

struct Nibbles {
  size_t row_bytes;
  std::vector<uint8_t> bytes;

  Nibbles(size_t rows, size_t cols) : row_bytes((cols + 31) / 32 * 16), bytes(rows * row_bytes) {}
  void Set(size_t row, size_t col, int nibble) {
    uint8_t& byte = bytes[row * row_bytes + col / 2];
    byte = static_cast<uint8_t>(byte | nibble << (col % 2 * 4));
  }
};

float NormAbove(double squares) {
  return squares == 0 ? 0 : std::nextafter(static_cast<float>(std::sqrt(squares)), INFINITY);
}

// Splits the bytes of table 0 into a screen.
void NestTable(TiedFile* file, const TableForm& form, size_t rows, size_t cols, const Bytes& stored) {
  Nibbles upper(rows, cols), lower(rows, cols);
  std::vector<float> upper_norms;
  for (size_t r = 0; r < rows; ++r) {
    const double scale = static_cast<double>(stored.scales[form.one_scale ? 0 : r]);
    double squares = 0;
    for (size_t k = 0; k < cols; ++k) {
      const int integer = stored.values[r * cols + k] ^ (form.type == DataType::Int8 ? 128 : 0);
      upper.Set(r, k, integer / 16);
      lower.Set(r, k, integer % 16);
      squares += std::pow(scale * (integer % 16 - 7.5), 2);
    }
    upper_norms.push_back(NormAbove(squares));
  }
  auto screen = std::make_unique<format::ScreenT>();
  screen->lower = Add(file, lower.bytes);
  screen->upper_norms = Add(file, upper_norms);
  file->header.tables[0]->values = Add(file, upper.bytes);
  file->header.tables[0]->screen = std::move(screen);
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const TableForm& form) {
  out << format::EnumNameDataType(form.type);
  if (form.one_scale) out << "OneScale";
  if (form.blocks) out << "Blocks";
  if (form.half_scales) out << "HalfScales";
  if (form.zero_points) out << "ZeroPoints";
  if (form.screen) out << "Screen";
  return out;
}

std::vector<TableForm> AllTableForms() {
  std::vector<TableForm> forms;
  for (const DataType type : {DataType::Float32, DataType::Float16, DataType::BFloat16}) {
    for (const bool screen : {false, true}) forms.push_back({type, false, false, screen});
  }
  for (const DataType type : {DataType::Int8, DataType::Uint8}) {
    for (const bool one_scale : {false, true}) {
      for (const bool zero_points : {false, true}) forms.push_back({type, one_scale, zero_points, false});
    }
    for (const bool zero_points : {false, true}) {
      for (const bool half : {false, true}) forms.push_back({type, false, zero_points, false, true, half});
      forms.push_back({type, !zero_points, zero_points, true});
    }
  }
  for (const bool zero_points : {false, true}) {
    for (const bool half : {false, true}) forms.push_back({DataType::Int4, false, zero_points, false, false, half});
  }
  return forms;
}

void StoreTable(TiedFile* file, const TableForm& form, size_t rows, size_t cols, std::vector<float>* values) {
  auto table = std::make_unique<format::TiedTableT>();
  table->name = "shared.weight";
  table->type = form.type;
  table->rows = rows;
  table->cols = cols;
  if (form.type == DataType::Float32) {
    table->values = Add(file, *values);
  } else if (form.type == DataType::Float16 || form.type == DataType::BFloat16) {
    std::vector<uint16_t> narrow;
    for (float& value : *values) narrow.push_back(form.type == DataType::Float16 ? HalfOf(&value) : BFloatOf(&value));
    table->values = Add(file, narrow);
  } else {
    const Bytes bytes = BytesOf(form, rows, cols, values);
    table->scales = form.half_scales ? Add(file, bytes.half_scales) : Add(file, bytes.scales);
    if (form.half_scales) table->scale_type = DataType::Float16;
    if (form.zero_points) table->zero_points = Add(file, bytes.zero_points);
    file->header.tables.clear();
    file->header.tables.push_back(std::move(table));
    if (form.screen) return NestTable(file, form, rows, cols, bytes);
    file->header.tables[0]->values = Add(file, bytes.values);
    return;
  }
  file->header.tables.clear();
  file->header.tables.push_back(std::move(table));
  if (form.screen) AddScreen(file, rows, cols, *values);
}

double StepError(const TableForm& form, const float* row, const float* hidden, size_t cols) {
  using format::DataType;
  if (form.type != DataType::Int8 && form.type != DataType::Uint8 && form.type != DataType::Int4) return 0;
  constexpr double kSteps = 32512;
  double weights = 0;
  for (size_t k = 0; k < cols; ++k) weights += std::fabs(static_cast<double>(row[k]));
  return weights * static_cast<double>(MaxMagnitude(hidden, cols)) / kSteps / 2 * 1.0001;
}

void AddScreen(TiedFile* file, size_t rows, size_t cols, const std::vector<float>& values, bool calibrated) {
  Nibbles upper(rows, cols), lower(rows, cols);
  std::vector<float> scales, upper_norms, norms, column_scales;
  std::vector<int8_t> column_values;
  const auto is_column = [&](size_t k) { return calibrated && k < 32 && k % 2 == 0; };
  for (size_t r = 0; r < rows; ++r) {
    const float* row = &values[r * cols];
    const float scale = std::max(MaxMagnitude(row, cols) / 127, 0x1p-149f);
    double upper_squares = 0, squares = 0;
    std::vector<float> column_errors;
    for (size_t k = 0; k < cols; ++k) {
      const auto integer = static_cast<int>(std::clamp(std::nearbyint(row[k] / scale), -127.0f, 127.0f)) + 128;
      upper.Set(r, k, integer / 16);
      lower.Set(r, k, is_column(k) ? 8 : integer % 16);
      const double value = static_cast<double>(row[k]), step = static_cast<double>(scale);
      const double error = value - step * (integer / 16 * 16 + 7.5 - 128);
      if (is_column(k)) {
        column_errors.push_back(static_cast<float>(error));
      } else {
        upper_squares += error * error;
        squares += std::pow(value - step * (integer - 128), 2);
      }
    }
    scales.push_back(scale);
    upper_norms.push_back(NormAbove(upper_squares));
    norms.push_back(NormAbove(squares));
    if (!calibrated) continue;
    column_scales.push_back(std::max(MaxMagnitude(column_errors.data(), column_errors.size()) / 127, 0x1p-149f));
    for (const float error : column_errors) {
      const float steps = std::nearbyint(error / column_scales.back());
      column_values.push_back(static_cast<int8_t>(std::clamp(steps, -127.0f, 127.0f)));
    }
  }
  auto stored = std::make_unique<format::ScreenT>();
  stored->upper = Add(file, upper.bytes);
  stored->lower = Add(file, lower.bytes);
  stored->scales = Add(file, scales);
  stored->upper_norms = Add(file, upper_norms);
  stored->norms = Add(file, norms);
  if (calibrated) {
    for (uint32_t k = 0; k < 32; k += 2) stored->columns.push_back(k);
    stored->column_values = Add(file, column_values);
    stored->column_scales = Add(file, column_scales);
  }
  file->header.tables[0]->screen = std::move(stored);
}

}  // namespace tied::test
