// Visits all planes of a file.
#ifndef TIED_RUNTIME_FILE_PLANES_H_
#define TIED_RUNTIME_FILE_PLANES_H_

#include "runtime/file/status.h"
#include "tied_generated.h"

namespace tied::runtime {

// Calls visit(plane, name) for every plane of every table. Stops at the first error and returns it.
template <class Visit>
Status ForEachTablePlane(const format::Header& header, const Visit& visit) {
  for (const format::TiedTable* table : *header.tables()) {
    TIED_RETURN_IF_ERROR(visit(*table->values(), table->name()->c_str()));
    if (table->scales() != nullptr) TIED_RETURN_IF_ERROR(visit(*table->scales(), "scales"));
    if (table->zero_points() != nullptr) TIED_RETURN_IF_ERROR(visit(*table->zero_points(), "zero points"));
    if (table->ids() != nullptr) TIED_RETURN_IF_ERROR(visit(*table->ids(), "token ids"));
    if (table->screen() == nullptr) continue;
    TIED_RETURN_IF_ERROR(visit(*table->screen()->values(), "screen"));
    TIED_RETURN_IF_ERROR(visit(*table->screen()->scales(), "screen scales"));
    TIED_RETURN_IF_ERROR(visit(*table->screen()->residual_norms(), "residual norms"));
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
