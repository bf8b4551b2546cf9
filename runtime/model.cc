#include "runtime/model.h"

#include <new>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::runtime {

Model::Model(MappedFile file, Header header) : file_(std::move(file)), header_(std::move(header)) { ExpectGathers(); }

Status Model::Create(MappedFile file, const char* name, bool verify_planes, Model** model) {
  Header header;
  TIED_RETURN_IF_ERROR(Header::Read(file.data(), file.size(), name, &header));
  Model* created = new (std::nothrow) Model(std::move(file), std::move(header));
  if (created == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "%s: no memory for the model", name);
  if (verify_planes) {
    const Status status = created->VerifyPlanes();
    if (!status.ok()) {
      created->Unref();
      return status;
    }
  }
  *model = created;
  return Status();
}

void Model::Unref() {
  if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

TableView Model::Table(size_t index) const {
  const format::TiedTable& table = *header_->tables()->Get(static_cast<flatbuffers::uoffset_t>(index));
  return {Floats(*table.values()), static_cast<size_t>(table.rows()), static_cast<size_t>(table.cols())};
}

const float* Model::Floats(const format::Plane& plane) const {
  return reinterpret_cast<const float*>(file_.data() + plane.offset());
}

Status Model::VerifyPlane(const format::Plane& plane, const char* what) const {
  if (XXH3_64bits(file_.data() + plane.offset(), static_cast<size_t>(plane.length())) == plane.hash()) return Status();
  return Status::Error(TIED_CORRUPT, "plane '%s' at offset %llu does not match its hash", what,
                       static_cast<unsigned long long>(plane.offset()));
}

Status Model::VerifyPlanes() const {
  return ForEachPlane(*header_,
                      [this](const format::Plane& plane, const char* what) { return VerifyPlane(plane, what); });
}

void Model::ExpectGathers() {
  for (const format::TiedTable* table : *header_->tables()) {
    file_.ExpectRandomReads(static_cast<size_t>(table->values()->offset()),
                            static_cast<size_t>(table->values()->length()));
  }
}

void Model::PrepareForHead() {
  if (prepared_for_head_.load(std::memory_order_relaxed) || prepared_for_head_.exchange(true)) return;
  for (const format::TiedTable* table : *header_->tables()) {
    file_.ExpectWholeReads(static_cast<size_t>(table->values()->offset()),
                           static_cast<size_t>(table->values()->length()));
  }
}

Status Model::Trim() {
  TIED_RETURN_IF_ERROR(file_.ReleasePages());
  ExpectGathers();
  prepared_for_head_.store(false);
  return Status();
}

}  // namespace tied::runtime
