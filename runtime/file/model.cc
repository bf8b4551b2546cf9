#include "runtime/file/model.h"

#include <new>
#include <utility>

#include "schema/number_format.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace tied::runtime {

namespace {

// 0: one scale for the whole table.
uint64_t ScalesPerRow(const format::TiedTable& table) {
  const uint64_t scales = table.scales()->length() / sizeof(float);
  switch (format::ScaleOfCount(table.type(), scales, table.rows(), table.cols())) {
    case format::ScaleOf::kTable:
      return 0;
    case format::ScaleOf::kRow:
      return 1;
    default:
      return format::BlocksOf(table.cols());
  }
}

}  // namespace

Model::Model(MappedFile file, Header header) : file_(std::move(file)), header_(std::move(header)) { ExpectGathers(); }

Status Model::Create(MappedFile file, const char* name, Model** model) {
  Header header;
  TIED_RETURN_IF_ERROR(Header::Read(file.data(), file.size(), name, &header));
  Model* created = new (std::nothrow) Model(std::move(file), std::move(header));
  if (created == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "%s: no memory for the model", name);
  const Status status = created->CheckIds(name);
  if (status.ok()) {
    *model = created;
  } else {
    created->Unref();
  }
  return status;
}

Status Model::CheckIds(const char* name) const {
  for (size_t i = 0; i < header_->tables()->size(); ++i) TIED_RETURN_IF_ERROR(Table(i).ids.Check(name));
  return Status();
}

void Model::Unref() {
  if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
}

TableView Model::Table(size_t index) const {
  const format::TiedTable& table = *header_->tables()->Get(static_cast<flatbuffers::uoffset_t>(index));
  TableView view = {};
  view.type = static_cast<tied_type>(table.type());
  view.values = Bytes(*table.values());
  view.rows = static_cast<size_t>(table.rows());
  view.cols = static_cast<size_t>(table.cols());
  view.ids = {nullptr, view.rows, table.vocabulary() == 0 ? view.rows : static_cast<size_t>(table.vocabulary())};
  if (table.ids() != nullptr) view.ids.ids = reinterpret_cast<const uint32_t*>(Bytes(*table.ids()));
  view.row_bytes = static_cast<size_t>(format::RowBytes(table.type(), table.cols()));
  if (table.scales() != nullptr) {
    view.scales = Floats(*table.scales());
    view.scales_per_row = static_cast<size_t>(ScalesPerRow(table));
  }
  if (table.zero_points() != nullptr) view.zero_points = Bytes(*table.zero_points());
  if (const format::Screen* screen = table.screen()) {
    view.screen = {reinterpret_cast<const int8_t*>(Bytes(*screen->values())), Floats(*screen->scales()),
                   Floats(*screen->residual_norms())};
  }
  return view;
}

const float* Model::Floats(const format::Plane& plane) const { return reinterpret_cast<const float*>(Bytes(plane)); }

Status Model::VerifyHash(const format::Plane& plane, const char* what) const {
  if (XXH3_64bits(file_.data() + plane.offset(), static_cast<size_t>(plane.length())) == plane.hash()) return Status();
  return Status::Error(TIED_CORRUPT, "plane '%s' at offset %llu does not match its hash", what,
                       static_cast<unsigned long long>(plane.offset()));
}

Status Model::VerifyHashes() const {
  return ForEachPlane(*header_,
                      [this](const format::Plane& plane, const char* what) { return VerifyHash(plane, what); });
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
    if (table->screen() != nullptr) ExpectWholeReads(*table->screen()->values());
  }
}

void Model::CountScatteredRows(size_t rows) {
  constexpr size_t kMostRows = 96;  // 64 KiB around each
  if (prepared_for_head_.load(std::memory_order_relaxed)) return;
  if (scattered_rows_.fetch_add(rows, std::memory_order_relaxed) + rows < kMostRows) return;
  scattered_rows_.store(0, std::memory_order_relaxed);
  for (const format::TiedTable* table : *header_->tables()) {
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
