// Prints tables with columns as wide as their widest cell.
#ifndef TIED_TOOLS_TIED_TABLE_H_
#define TIED_TOOLS_TIED_TABLE_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "tied/tied.h"

namespace tied::cli {

class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // One cell per column. Control characters are replaced, because names come from untrusted files.
  void AddRow(std::vector<std::string> cells);

  // Prints a line of titles, unless all are empty, then the rows, indented by two spaces.
  void Print(std::ostream& out) const;

 private:
  void PrintRow(std::ostream& out, const std::vector<size_t>& widths, const std::vector<std::string>& cells) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// 3.14159 with 2 digits: "3.14".
std::string Fixed(double value, int digits);

// A logit with six digits.
std::string LogitText(double logit);

// 1049419776: "1049.42 MB", decimal units.
std::string BytesText(uint64_t bytes);

// "[2, 3]"
std::string ShapeText(const std::vector<int64_t>& shape);

// "float32"
const char* TypeText(tied_type type);

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_TABLE_H_
