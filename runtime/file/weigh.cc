#include "runtime/file/weigh.h"

#include <algorithm>
#include <cinttypes>

#include "schema/limits.h"

namespace tied::runtime {

namespace {

// The bytes of the parts that were added, without padding and vtables. Not shared, they are different bytes of the
// header.
class Weight {
 public:
  uint64_t bytes() const { return bytes_; }

  // A table has at least the offset of its vtable.
  void AddTable(const void* table) { bytes_ += table == nullptr ? 0 : sizeof(flatbuffers::soffset_t); }

  void Add(const flatbuffers::String* text) { bytes_ += text == nullptr ? 0 : text->size(); }

  template <class T>
  void Add(const flatbuffers::Vector<T>* vector) {
    if (vector != nullptr) bytes_ += uint64_t{vector->size()} * sizeof(T);
  }

  template <class T>
  void Add(const flatbuffers::Vector<flatbuffers::Offset<T>>* vector) {
    if (vector != nullptr) bytes_ += uint64_t{vector->size()} * (sizeof(flatbuffers::uoffset_t) + 4);
  }

  void Add(const flatbuffers::Vector<const format::OutputDim*>* vector) {
    if (vector != nullptr) bytes_ += uint64_t{vector->size()} * sizeof(format::OutputDim);
  }

 private:
  uint64_t bytes_ = 0;
};

class Weigher {
 public:
  Weigher(const format::Header& header, uint64_t header_length, const char* name)
      : header_(header), header_length_(header_length), name_(name) {}

  Status Run();

 private:
  Status CheckCounts() const;
  Status TooMany(size_t count, const char* what, size_t most) const {
    return Status::Error(TIED_CORRUPT, "%s: has %zu %s; at most %zu are allowed", name_, count, what, most);
  }
  Status AddName(const flatbuffers::String* text, const char* what);
  Status AddValue(const format::ValueInfo& value);
  Status AddOp(const format::Op& op);
  Status AddOrigin(const flatbuffers::String* origin);

  const format::Header& header_;
  const uint64_t header_length_;
  const char* const name_;
  Weight weight_;
};

Status Weigher::CheckCounts() const {
  const struct {
    size_t count;
    const char* what;
  } counts[] = {{header_.inputs()->size(), "inputs"},
                {header_.outputs()->size(), "outputs"},
                {header_.tables()->size(), "tables"},
                {header_.entry_points()->size(), "entry points"}};
  for (const auto& item : counts) {
    if (item.count > format::kMaxItems) return TooMany(item.count, item.what, format::kMaxItems);
  }
  size_t ops = 0, selectors = 0;
  for (const format::EntryPoint* entry_point : *header_.entry_points()) {
    ops += entry_point->ops()->size();
    if (entry_point->selectors() != nullptr) selectors += entry_point->selectors()->size();
  }
  if (ops > format::kMaxOps) return TooMany(ops, "operations", format::kMaxOps);
  return selectors > format::kMaxSelectors ? TooMany(selectors, "selectors", format::kMaxSelectors) : Status();
}

// Names are repeated in messages and for each use.
Status Weigher::AddName(const flatbuffers::String* text, const char* what) {
  weight_.Add(text);
  if (text == nullptr || text->size() <= format::kMaxNameBytes) return Status();
  return Status::Error(TIED_CORRUPT, "%s: the name of %s has %u bytes; at most %zu are allowed", name_, what,
                       text->size(), format::kMaxNameBytes);
}

Status Weigher::AddValue(const format::ValueInfo& value) {
  TIED_RETURN_IF_ERROR(AddName(value.name(), "an input or output"));
  weight_.Add(value.dims());
  for (const format::Dim* dim : *value.dims()) TIED_RETURN_IF_ERROR(AddName(dim->symbol(), "a dimension"));
  return Status();
}

Status Weigher::AddOrigin(const flatbuffers::String* origin) {
  weight_.Add(origin);
  // Too heavy a header is refused later, without reading it.
  if (origin == nullptr || weight_.bytes() > header_length_) return Status();
  const bool is_short = origin->size() <= format::kMaxOriginBytes;
  const auto ends = is_short ? std::count(origin->begin(), origin->end(), '\n') : 0;
  if (is_short && static_cast<size_t>(ends) < format::kMaxOriginLines) return Status();
  return Status::Error(TIED_CORRUPT, "%s: the origin of an operation has more than %zu bytes or %zu lines", name_,
                       format::kMaxOriginBytes, format::kMaxOriginLines);
}

Status Weigher::AddOp(const format::Op& op) {
  weight_.AddTable(op.operation());
  weight_.Add(op.output_dims());
  TIED_RETURN_IF_ERROR(AddOrigin(op.origin()));
  const format::Constant* constant = op.operation_as_Constant();
  if (constant == nullptr || constant->data() == nullptr) return Status();
  weight_.Add(constant->data());
  if (constant->data()->size() <= format::kMaxConstantBytes) return Status();
  return Status::Error(TIED_CORRUPT, "%s: a constant has %u bytes; at most %zu are allowed", name_,
                       constant->data()->size(), format::kMaxConstantBytes);
}

Status Weigher::Run() {
  TIED_RETURN_IF_ERROR(CheckCounts());
  weight_.AddTable(&header_);
  for (const flatbuffers::String* text : {header_.producer(), header_.source(), header_.graph()}) weight_.Add(text);
  for (const auto* values : {header_.inputs(), header_.outputs()}) {
    weight_.Add(values);
    for (const format::ValueInfo* value : *values) TIED_RETURN_IF_ERROR(AddValue(*value));
  }
  weight_.Add(header_.tables());
  for (const format::TiedTable* table : *header_.tables()) {
    TIED_RETURN_IF_ERROR(AddName(table->name(), "a table"));
    weight_.AddTable(table->screen());
    if (table->screen() != nullptr) weight_.Add(table->screen()->columns());
  }
  weight_.Add(header_.entry_points());
  for (const format::EntryPoint* entry_point : *header_.entry_points()) {
    TIED_RETURN_IF_ERROR(AddName(entry_point->name(), "an entry point"));
    weight_.Add(entry_point->selectors());
    weight_.Add(entry_point->ops());
    for (const format::Op* op : *entry_point->ops()) TIED_RETURN_IF_ERROR(AddOp(*op));
  }
  if (weight_.bytes() <= header_length_) return Status();
  return Status::Error(TIED_CORRUPT,
                       "%s: its header shares parts: counted for each use, they have %" PRIu64
                       " bytes, more than the header's %" PRIu64,
                       name_, weight_.bytes(), header_length_);
}

}  // namespace

Status CheckWeight(const format::Header& header, uint64_t header_length, const char* name) {
  return Weigher(header, header_length, name).Run();
}

}  // namespace tied::runtime
