// The header of a .tied file: found, copied and checked in full (schema/FORMAT.md).
#ifndef TIED_RUNTIME_FILE_HEADER_H_
#define TIED_RUNTIME_FILE_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime/file/status.h"
#include "tied_generated.h"

namespace tied::runtime {

// A checked header. It is a copy: a file that is changed later cannot change what was checked.
class Header {
 public:
  // `data`, `size`: the whole file. `name`: what messages call it.
  static Status Read(const unsigned char* data, size_t size, const char* name, Header* header);

  const format::Header& operator*() const { return *root_; }
  const format::Header* operator->() const { return root_; }
  uint32_t format_version() const { return format_version_; }

 private:
  std::unique_ptr<uint64_t[]> bytes_;  // aligned for the 64-bit fields in it
  const format::Header* root_ = nullptr;
  uint32_t format_version_ = 0;
};

// Checks everything in a verified flatbuffer that FORMAT.md asks for beyond the flatbuffer itself.
Status ValidateHeader(const format::Header& header, uint64_t header_end, uint64_t file_size, const char* name);

// Calls visit(plane, name) for every plane of a file's tables, until one returns an error.
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

// The same, and then for the biases: entry points may share one.
template <class Visit>
Status ForEachPlane(const format::Header& header, const Visit& visit) {
  TIED_RETURN_IF_ERROR(ForEachTablePlane(header, visit));
  for (const format::EntryPoint* entry_point : *header.entry_points()) {
    for (const format::Op* op : *entry_point->ops()) {
      const format::MatMul* matmul = op->operation_as_MatMul();
      if (matmul == nullptr || matmul->bias() == nullptr) continue;
      TIED_RETURN_IF_ERROR(visit(*matmul->bias(), "bias"));
    }
  }
  return Status();
}

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_HEADER_H_
