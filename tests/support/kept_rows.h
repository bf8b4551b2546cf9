// Drops the rows of some token ids from a file.
#ifndef TIED_TESTS_SUPPORT_KEPT_ROWS_H_
#define TIED_TESTS_SUPPORT_KEPT_ROWS_H_

#include <cstdint>
#include <vector>

#include "tests/support/tied_file.h"

namespace tied::test {

// Returns the file of one table with only the rows of these ids, ascending. The row count must be a prime: a plane
// whose length is a multiple of it has an entry for each row.
TiedFile KeepRows(TiedFile full, const std::vector<uint32_t>& ids);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_KEPT_ROWS_H_
