// What is checked of a table's numbers on request.
#ifndef TIED_RUNTIME_COMPUTE_VERIFY_TABLE_H_
#define TIED_RUNTIME_COMPUTE_VERIFY_TABLE_H_

#include "runtime/file/status.h"
#include "runtime/file/table.h"

namespace tied::runtime {

// Scales are finite, those of the screen positive, too; zero points of Int4 are at most 15; no residual norm of the
// screen is smaller than the norm of row - scale * int8 row. CORRUPT names the first row for which that is not so.
Status VerifyTable(const TableView& table);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_COMPUTE_VERIFY_TABLE_H_
