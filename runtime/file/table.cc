#include "runtime/file/table.h"

#include <unistd.h>

#include "runtime/file/system.h"

namespace tied::runtime {

bool RowFile::IsWorthReading(const TableView& table, size_t rows) const {
  constexpr size_t kSmallTable = size_t{64} << 20;
  constexpr size_t kFewRows = 16;  // one of so many
  return descriptor >= 0 && table.rows > kSmallTable / table.row_bytes && rows < table.rows / kFewRows;
}

bool RowFile::Read(const TableView& table, size_t row, unsigned char* to) const {
  const auto begin = static_cast<off_t>(offset + uint64_t{row} * table.row_bytes);
  const ssize_t got = Retry([&] { return pread(descriptor, to, table.row_bytes, begin); });
  return got == static_cast<ssize_t>(table.row_bytes);
}

}  // namespace tied::runtime
