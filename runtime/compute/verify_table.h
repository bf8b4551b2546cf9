// Checks the numbers of a table, on request.
#ifndef TIED_RUNTIME_COMPUTE_VERIFY_TABLE_H_
#define TIED_RUNTIME_COMPUTE_VERIFY_TABLE_H_

#include "runtime/file/status.h"
#include "runtime/file/table.h"

namespace tied::runtime {

// Scales must be finite, and scales of the screen also positive; zero points of Int4 must be at most 15; no residual
// norm of the screen may be smaller than the norm of row - scale * int8 row. CORRUPT names the first row that is wrong.
Status VerifyTable(const TableView& table);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_VERIFY_TABLE_H_
