#include "tools/tied/table.h"

#include <algorithm>
#include <cstdio>

#include "base/printable.h"

namespace tied::cli {

namespace {

// Counts code points, which equal terminal columns for nearly all names.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0u) != 0x80u; }));
}

}  // namespace

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(std::move(cell));
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out) const {
  std::vector<std::string> titles;
  std::vector<size_t> widths;
  bool any_title = false;
  for (const Column& column : columns_) {
    titles.push_back(column.title);
    widths.push_back(Width(column.title));
    any_title = any_title || !column.title.empty();
  }
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  if (any_title) PrintRow(out, widths, titles);
  for (const auto& row : rows_) PrintRow(out, widths, row);
}

void Table::PrintRow(std::ostream& out, const std::vector<size_t>& widths,
                     const std::vector<std::string>& cells) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths[i] - Width(cells[i]), ' ');
    line += "  ";
    line += columns_[i].align == Align::kRight ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out << line << '\n';
}

std::string Fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof(text), "%.*f", digits, value);
  return text;
}

std::string BytesText(uint64_t bytes) {
  const double value = static_cast<double>(bytes);
  if (bytes < 1000) return std::to_string(bytes) + " B";
  if (bytes < 1000000) return Fixed(value / 1e3, 2) + " kB";
  return Fixed(value / 1e6, 2) + " MB";
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

std::string LogitText(double logit) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", logit);
  return text;
}

const char* TypeText(tied_type type) {
  switch (type) {
    case TIED_FLOAT32:
      return "float32";
    case TIED_FLOAT16:
      return "float16";
    case TIED_BFLOAT16:
      return "bfloat16";
    case TIED_INT8:
      return "int8";
    case TIED_UINT8:
      return "uint8";
    case TIED_INT4:
      return "int4";
    case TIED_INT32:
      return "int32";
    case TIED_INT64:
      return "int64";
    case TIED_BOOL:
      return "bool";
    default:
      return "unknown type";
  }
}

}  // namespace tied::cli
