// Visits all planes of a file.
#ifndef TIED_RUNTIME_FILE_PLANES_H_
#define TIED_RUNTIME_FILE_PLANES_H_

#include "runtime/file/status.h"
#include "tied_generated.h"

namespace tied::runtime {

template <class Visit>
Status ForEachScreenPlane(const format::Screen& screen, const Visit& visit) {
  TIED_RETURN_IF_ERROR(visit(*screen.lower(), "lower nibbles"));
  TIED_RETURN_IF_ERROR(visit(*screen.upper_norms(), "norms of upper nibbles"));
  if (screen.upper() != nullptr) TIED_RETURN_IF_ERROR(visit(*screen.upper(), "upper nibbles"));
  if (screen.scales() != nullptr) TIED_RETURN_IF_ERROR(visit(*screen.scales(), "screen scales"));
  if (screen.norms() != nullptr) TIED_RETURN_IF_ERROR(visit(*screen.norms(), "residual norms"));
  if (screen.column_values() != nullptr) TIED_RETURN_IF_ERROR(visit(*screen.column_values(), "column values"));
  if (screen.column_scales() != nullptr) TIED_RETURN_IF_ERROR(visit(*screen.column_scales(), "column scales"));
  return Status();
}

// Calls visit(plane, name) for every plane of every table. Stops at the first error and returns it.
template <class Visit>
Status ForEachTablePlane(const format::Header& header, const Visit& visit) {
  for (const format::TiedTable* table : *header.tables()) {
    TIED_RETURN_IF_ERROR(visit(*table->values(), table->name()->c_str()));
    if (table->scales() != nullptr) TIED_RETURN_IF_ERROR(visit(*table->scales(), "scales"));
    if (table->zero_points() != nullptr) TIED_RETURN_IF_ERROR(visit(*table->zero_points(), "zero points"));
    if (table->ids() != nullptr) TIED_RETURN_IF_ERROR(visit(*table->ids(), "token ids"));
    if (table->screen() == nullptr) continue;
    TIED_RETURN_IF_ERROR(ForEachScreenPlane(*table->screen(), visit));
  }
  return Status();
}

// Visits the planes of the tables, then the biases. Entry points may share a bias, which is then visited repeatedly.
template <class Visit>
Status ForEachPlane(const format::Header& header, const Visit& visit) {
  TIED_RETURN_IF_ERROR(ForEachTablePlane(header, visit));
  for (const format::EntryPoint* entry_point : *header.entry_points()) {
    for (const format::Op* op : *entry_point->ops()) {
      const format::Head* head = op->operation_as_Head();
      if (head == nullptr || head->bias() == nullptr) continue;
      TIED_RETURN_IF_ERROR(visit(*head->bias(), "bias"));
    }
  }
  return Status();
}

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_PLANES_H_
