#include "runtime/file/model.h"

#include <new>
#include <utility>

#include "runtime/file/planes.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::runtime {

Model::Model(MappedFile file, Header header) : file_(std::move(file)), header_(std::move(header)) { ExpectGathers(); }

Status Model::Create(MappedFile file, const char* name, Model** model) {
  Header header;
  TIED_RETURN_IF_ERROR(Header::Read(file.data(), file.size(), name, &header));
  Model* created = new (std::nothrow) Model(std::move(file), std::move(header));
  if (created == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "%s: no memory for the model", name);
  Status status = Graph::Resolve(created->header(), created->file_, name, &created->graph_);
  if (status.ok()) status = created->CheckIds(name);
  if (status.ok()) {
    *model = created;
  } else {
    created->Unref();
  }
  return status;
}

Status Model::CheckIds(const char* name) const {
  for (const TableView& table : graph_.tables()) TIED_RETURN_IF_ERROR(table.ids.Check(name));
  return Status();
}

void Model::Unref() {
  if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

Status Model::VerifyHashes() const {
  return ForEachPlane(*header_, [this](const format::Plane& plane, const char* what) {
    const auto length = static_cast<size_t>(plane.length());
    if (XXH3_64bits(file_.data() + plane.offset(), length) == plane.hash()) return Status();
    return Status::Error(TIED_CORRUPT, "plane '%s' at offset %llu does not match its hash", what,
                         static_cast<unsigned long long>(plane.offset()));
  });
}

void Model::ExpectGathers() {
  for (const format::TiedTable* table : *header_->tables()) {
    file_.ExpectRandomReads(static_cast<size_t>(table->values()->offset()),
                            static_cast<size_t>(table->values()->length()));
  }
}

void Model::ExpectWholeReads(const format::Plane& plane) {
  file_.ExpectWholeReads(static_cast<size_t>(plane.offset()), static_cast<size_t>(plane.length()));
}

void Model::PrepareForHead() {
  if (prepared_for_head_.load(std::memory_order_relaxed) || prepared_for_head_.exchange(true)) return;
  for (const format::TiedTable* table : *header_->tables()) ExpectWholeReads(*table->values());
}

void Model::PrepareForScreen() {
  if (prepared_for_screen_.load(std::memory_order_relaxed) || prepared_for_screen_.exchange(true)) return;
  for (const format::TiedTable* table : *header_->tables()) {
    if (table->screen() == nullptr) continue;
    ExpectWholeReads(table->screen()->upper() == nullptr ? *table->values() : *table->screen()->upper());
  }
}

void Model::CountScatteredRows(size_t rows) {
  constexpr size_t kMostRows = 96;  // Linux maps 64 KiB around each
  if (prepared_for_head_.load(std::memory_order_relaxed)) return;
  if (scattered_rows_.fetch_add(rows, std::memory_order_relaxed) + rows < kMostRows) return;
  scattered_rows_.store(0, std::memory_order_relaxed);
  for (const format::TiedTable* table : *header_->tables()) {
    // The values of a nested table are its screen, which every top-k reads.
    if (table->screen() != nullptr && table->screen()->upper() == nullptr) continue;
    const format::Plane& values = *table->values();
    (void)file_.ReleasePages(static_cast<size_t>(values.offset()), static_cast<size_t>(values.length()));
  }
}

Status Model::Trim() {
  TIED_RETURN_IF_ERROR(file_.ReleasePages(0, file_.size()));
  ExpectGathers();
  prepared_for_head_.store(false);
  prepared_for_screen_.store(false);
  return Status();
}

}  // namespace tied::runtime
