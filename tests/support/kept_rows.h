// Files without the rows of some token ids.
#ifndef TIED_TESTS_SUPPORT_KEPT_ROWS_H_
#define TIED_TESTS_SUPPORT_KEPT_ROWS_H_

#include <cstdint>
#include <vector>

#include "tests/support/tied_file.h"

namespace tied::test {

// A file of one table with what each of its planes has for the rows of these ids, ascending. The table's rows are a
// prime: a plane whose length is a multiple of it has something for each row.
TiedFile KeepRows(TiedFile full, const std::vector<uint32_t>& ids);

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_KEPT_ROWS_H_
