#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>
#include <memory>
#include <new>

#include "runtime/file/header.h"
#include "runtime/file/planes.h"
#include "schema/checked_math.h"
#include "schema/limits.h"
#include "schema/number_format.h"
#include "schema/preamble.h"

namespace tied::runtime {

namespace {

static_assert(TIED_MAX_K == format::kMaxTopk);

// The state that all checks share. Each check reports the first violation.
class Validator {
 public:
  Validator(const format::Header& header, uint64_t header_end, uint64_t file_size, const char* name)
      : header_(header), header_end_(header_end), file_size_(file_size), name_(name) {}

  Status Run();

 private:
  Status CheckPlane(const format::Plane& plane, const char* what) const;
  Status CheckOverlaps() const;
  Status CheckTable(const format::TiedTable& table) const;
  Status CheckScales(const format::TiedTable& table) const;
  Status CheckScreen(const format::TiedTable& table) const;
  Status CheckScreenColumns(const format::TiedTable& table) const;
  Status CheckVocabulary(const format::TiedTable& table) const;
  Status CheckLength(const format::Plane& plane, uint64_t count, uint64_t size, const char* table,
                     const char* what) const;
  Status CheckValue(const format::ValueInfo& value, const char* what) const;
  Status CheckEntryPoint(const format::EntryPoint& entry_point) const;
  Status CheckOp(const format::Op& op, const char* entry_point) const;
  Status CheckAlignment(const format::Op& op, const char* entry_point) const;
  Status CheckOutputDims(const format::Op& op, size_t input_rank, const char* entry_point) const;
  Status CheckConstant(const format::Op& op, const char* entry_point) const;
  Status CheckFilled(const format::EntryPoint& entry_point) const;
  Status CheckTypes(const format::Op& op, uint32_t table, bool types_fit, const char* entry_point) const;
  Status CheckHead(const format::Op& op, const format::ValueInfo& input, const char* entry_point) const;

  template <class T>
  Status CheckNames(const flatbuffers::Vector<flatbuffers::Offset<T>>& items, const char* what) const;

  const format::Header& header_;
  const uint64_t header_end_;
  const uint64_t file_size_;
  const char* const name_;
};

// Sorts by heap: std::sort() takes 3 KB of code for each type, and the items are few.
template <class T, class Less>
void SortFew(T* items, size_t count, Less less) {
  std::make_heap(items, items + count, less);
  std::sort_heap(items, items + count, less);
}

// The name that two of the names have, or null. Sorts them, so that their length, not their number squared, bounds the
// cost.
const char* FindTwin(const char** names, size_t count) {
  SortFew(names, count, [](const char* a, const char* b) { return std::strcmp(a, b) < 0; });
  for (size_t i = 1; i < count; ++i) {
    if (std::strcmp(names[i - 1], names[i]) == 0) return names[i];
  }
  return nullptr;
}

template <class T>
Status Validator::CheckNames(const flatbuffers::Vector<flatbuffers::Offset<T>>& items, const char* what) const {
  const char* names[format::kMaxItems];
  size_t count = 0;
  for (const T* item : items) {
    names[count] = item->name()->c_str();
    if (*names[count] == '\0') return Status::Error(TIED_CORRUPT, "%s: %s %zu has no name", name_, what, count);
    ++count;
  }
  const char* const twin = FindTwin(names, count);
  if (twin == nullptr) return Status();
  return Status::Error(TIED_CORRUPT, "%s: two %ss are named '%s'", name_, what, twin);
}

Status Validator::CheckPlane(const format::Plane& plane, const char* what) const {
  uint64_t end = 0;
  if (plane.offset() % format::kPlaneAlignment != 0 || plane.offset() < header_end_ ||
      !CheckedAdd(plane.offset(), plane.length(), &end) || end > file_size_) {
    return Status::Error(TIED_CORRUPT,
                         "%s: plane '%s', %" PRIu64 " bytes at offset %" PRIu64 ", is misaligned or outside the file",
                         name_, what, plane.length(), plane.offset());
  }
  return Status();
}

// Sorts the planes by offset and compares neighbours. Only biases may be shared, whole.
Status Validator::CheckOverlaps() const {
  struct Item {
    const format::Plane* plane;
    const char* what;
    size_t number;

    uint64_t end() const { return plane->offset() + plane->length(); }
    bool operator<(const Item& other) const {
      return plane->offset() < other.plane->offset() ||
             (plane->offset() == other.plane->offset() && number < other.number);
    }
  };
  size_t table_planes = 0, planes = 0, filled = 0, number = 0;
  const auto count_table_plane = [&](const format::Plane&, const char*) { return ++table_planes, Status(); };
  const auto count_plane = [&](const format::Plane&, const char*) { return ++planes, Status(); };
  TIED_RETURN_IF_ERROR(ForEachTablePlane(header_, count_table_plane));
  TIED_RETURN_IF_ERROR(ForEachPlane(header_, count_plane));
  const std::unique_ptr<Item[]> items(new (std::nothrow) Item[planes]);
  if (items == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "%s: no memory for %zu planes", name_, planes);
  TIED_RETURN_IF_ERROR(ForEachPlane(header_, [&](const format::Plane& plane, const char* what) {
    if (plane.length() != 0) items[filled++] = {&plane, what, number};
    ++number;
    return Status();
  }));
  SortFew(items.get(), filled, [](const Item& a, const Item& b) { return a < b; });
  for (size_t i = 1; i < filled; ++i) {
    const Item &a = items[i - 1], &b = items[i];
    const bool same = a.plane->offset() == b.plane->offset() && a.plane->length() == b.plane->length();
    if (a.end() <= b.plane->offset() || (same && a.number >= table_planes)) continue;
    return Status::Error(TIED_CORRUPT, "%s: planes '%s' and '%s' overlap", name_, a.what, b.what);
  }
  return Status();
}

Status Validator::CheckLength(const format::Plane& plane, uint64_t count, uint64_t size, const char* table,
                              const char* what) const {
  uint64_t bytes = 0;
  if (CheckedMultiply(count, size, &bytes) && bytes == plane.length()) return Status();
  return Status::Error(TIED_CORRUPT, "%s: table '%s': %s do not match its shape (%" PRIu64 " bytes)", name_, table,
                       what, plane.length());
}

Status Validator::CheckScales(const format::TiedTable& table) const {
  const char* what = table.name()->c_str();
  const bool quantised = format::FindFormat(table.type())->is_quantised;
  if ((table.scales() != nullptr) != quantised || (table.zero_points() != nullptr && !quantised)) {
    return Status::Error(TIED_CORRUPT, "%s: table '%s': scales or zero points do not match its element type", name_,
                         what);
  }
  if (!quantised) return Status();
  const format::DataType scale_type = table.scale_type();
  if (scale_type != format::DataType::Float32 && scale_type != format::DataType::Float16) {
    return Status::Error(TIED_CORRUPT, "%s: table '%s': its scales are %s; they must be float32 or float16", name_,
                         what, format::NameOf(scale_type));
  }
  const uint64_t count = format::ScaleCount(format::ScaleOfTable(table), table.rows(), table.cols());
  TIED_RETURN_IF_ERROR(CheckLength(*table.scales(), count, format::ScaleSize(scale_type), what, "scales"));
  if (table.zero_points() == nullptr) return Status();
  return CheckLength(*table.zero_points(), count, 1, what, "zero points");
}

Status Validator::CheckScreen(const format::TiedTable& table) const {
  if (table.screen() == nullptr) return Status();
  const char* what = table.name()->c_str();
  const format::Screen& screen = *table.screen();
  const bool quantised = table.scales() != nullptr;
  const bool in_blocks = quantised && format::ScaleOfTable(table) == format::ScaleOf::kBlock;
  const bool with_columns = screen.columns() != nullptr;
  if (in_blocks || table.cols() > format::kMaxScreenedCols || (screen.upper() == nullptr) != quantised ||
      (screen.scales() == nullptr) != quantised || (screen.norms() == nullptr) != quantised ||
      (screen.column_values() != nullptr) != with_columns || (screen.column_scales() != nullptr) != with_columns) {
    return Status::Error(TIED_CORRUPT, "%s: table '%s': the screen does not fit the element type or the columns", name_,
                         what);
  }
  if (with_columns) TIED_RETURN_IF_ERROR(CheckScreenColumns(table));
  return ForEachScreenPlane(screen, [&](const format::Plane& plane, const char* plane_name) {
    const bool nibbles = &plane == screen.upper() || &plane == screen.lower();
    const uint64_t row_bytes = nibbles ? format::RowBytes(format::DataType::Int4, table.cols())
                               : &plane == screen.column_values() ? format::kScreenColumns
                                                                  : sizeof(float);
    return CheckLength(plane, table.rows(), row_bytes, what, plane_name);
  });
}

Status Validator::CheckScreenColumns(const format::TiedTable& table) const {
  const auto& columns = *table.screen()->columns();
  bool valid = columns.size() == format::kScreenColumns;
  for (flatbuffers::uoffset_t i = 0; valid && i < columns.size(); ++i) {
    valid = columns.Get(i) < table.cols() && (i == 0 || columns.Get(i) > columns.Get(i - 1));
  }
  if (valid) return Status();
  return Status::Error(TIED_CORRUPT, "%s: table '%s': the screen's columns are not %zu ascending ones of the table",
                       name_, table.name()->c_str(), format::kScreenColumns);
}

// The ids themselves are not part of the header; they are checked when the file is open.
Status Validator::CheckVocabulary(const format::TiedTable& table) const {
  const char* what = table.name()->c_str();
  const uint64_t most = format::MaxVocabulary(table.rows());
  if (table.vocabulary() != 0 && (table.vocabulary() < table.rows() || table.vocabulary() > most)) {
    return Status::Error(TIED_CORRUPT,
                         "%s: table '%s' has a vocabulary of %" PRIu64 "; it must be from %" PRIu64 " to %" PRIu64,
                         name_, what, table.vocabulary(), table.rows(), most);
  }
  if (table.ids() == nullptr) return Status();
  return CheckLength(*table.ids(), table.rows(), sizeof(uint32_t), what, "token ids");
}

Status Validator::CheckTable(const format::TiedTable& table) const {
  const char* what = table.name()->c_str();
  if (format::RowBytes(table.type(), 1) == 0) {
    return Status::Error(TIED_UNSUPPORTED, "%s: table '%s' has element type %d, which this library does not support",
                         name_, what, static_cast<int>(table.type()));
  }
  if (table.rows() == 0 || table.cols() == 0 || table.rows() > format::kMaxTableRows ||
      table.cols() > format::kMaxTableCols) {
    return Status::Error(TIED_CORRUPT,
                         "%s: table '%s' has the shape [%" PRIu64 ", %" PRIu64 "]; it must be from [1, 1] to [%" PRIu64
                         ", %" PRIu64 "]",
                         name_, what, table.rows(), table.cols(), format::kMaxTableRows, format::kMaxTableCols);
  }
  TIED_RETURN_IF_ERROR(CheckLength(*table.values(), table.rows(), format::StoredRowBytes(table), what, "values"));
  TIED_RETURN_IF_ERROR(CheckVocabulary(table));
  TIED_RETURN_IF_ERROR(CheckScales(table));
  return CheckScreen(table);
}

Status Validator::CheckValue(const format::ValueInfo& value, const char* what) const {
  if (format::ElementSize(value.type()) == 0) {
    return Status::Error(TIED_UNSUPPORTED, "%s: %s '%s' has unknown element type %d", name_, what,
                         value.name()->c_str(), static_cast<int>(value.type()));
  }
  if (value.dims()->size() > TIED_MAX_RANK) {
    return Status::Error(TIED_CORRUPT, "%s: %s '%s' has %u dimensions; at most %d are allowed", name_, what,
                         value.name()->c_str(), value.dims()->size(), TIED_MAX_RANK);
  }
  return Status();
}

// The flatbuffer verifier checks the alignment of everything except structs in a vector. An empty vector has none.
Status Validator::CheckAlignment(const format::Op& op, const char* entry_point) const {
  const bool aligned = op.output_dims()->size() == 0 ||
                       reinterpret_cast<uintptr_t>(op.output_dims()->Data()) % alignof(format::OutputDim) == 0;
  if (aligned) return Status();
  return Status::Error(TIED_CORRUPT, "%s: entry point '%s': an output shape is misaligned", name_, entry_point);
}

Status Validator::CheckOutputDims(const format::Op& op, size_t input_rank, const char* entry_point) const {
  size_t inferred = 0;
  bool valid = op.output_dims()->size() <= TIED_MAX_RANK;
  for (const format::OutputDim* dim : *op.output_dims()) {
    switch (dim->rule()) {
      case format::DimRule::Constant:
        valid = valid && dim->value() >= 0;
        break;
      case format::DimRule::InputDim:
        valid = valid && dim->value() >= 0 && static_cast<uint64_t>(dim->value()) < input_rank;
        break;
      case format::DimRule::Infer:
        valid = valid && ++inferred == 1;
        break;
      default:
        valid = false;
    }
  }
  if (valid) return Status();
  return Status::Error(TIED_CORRUPT, "%s: entry point '%s': the shape of output %u is invalid", name_, entry_point,
                       op.output());
}

Status Validator::CheckTypes(const format::Op& op, uint32_t table, bool types_fit, const char* entry_point) const {
  if (table >= header_.tables()->size()) {
    return Status::Error(TIED_CORRUPT, "%s: entry point '%s' uses table %u, but there are only %u", name_, entry_point,
                         table, header_.tables()->size());
  }
  if (!types_fit) {
    return Status::Error(TIED_CORRUPT, "%s: entry point '%s': the input or output of %s has the wrong type", name_,
                         entry_point, format::EnumNameOperation(op.operation_type()));
  }
  return Status();
}

Status Validator::CheckHead(const format::Op& op, const format::ValueInfo& input, const char* entry_point) const {
  const format::Head& head = *op.operation_as_Head();
  const bool ids = head.result() == format::HeadResult::TopkIds;
  const format::DataType made = ids ? format::DataType::Int64 : format::DataType::Float32;
  const bool types_fit =
      input.type() == format::DataType::Float32 && header_.outputs()->Get(op.output())->type() == made;
  TIED_RETURN_IF_ERROR(CheckTypes(op, head.table(), types_fit, entry_point));
  const uint64_t rows = header_.tables()->Get(head.table())->rows();
  if (head.bias() != nullptr && head.bias()->length() != rows * sizeof(float)) {
    return Status::Error(TIED_CORRUPT, "%s: entry point '%s': the bias has %" PRIu64 " bytes, expected %" PRIu64, name_,
                         entry_point, head.bias()->length(), rows * sizeof(float));
  }
  if (!std::isfinite(head.scale()) || !std::isfinite(head.soft_cap()) || head.soft_cap() < 0) {
    return Status::Error(TIED_CORRUPT, "%s: entry point '%s': the logits have a scale of %g and a soft cap of %g",
                         name_, entry_point, static_cast<double>(head.scale()), static_cast<double>(head.soft_cap()));
  }
  if (head.result() == format::HeadResult::Logits) return Status();
  if (head.result() > format::HeadResult::MAX) {
    return Status::Error(TIED_UNSUPPORTED, "%s: entry point '%s' has unknown head result %d", name_, entry_point,
                         static_cast<int>(head.result()));
  }
  if (head.k() >= 1 && head.k() <= TIED_MAX_K && head.k() <= rows) return Status();
  return Status::Error(TIED_CORRUPT, "%s: entry point '%s': k is %u; it must be from 1 to %" PRIu64, name_, entry_point,
                       head.k(), std::min<uint64_t>(rows, TIED_MAX_K));
}

Status Validator::CheckConstant(const format::Op& op, const char* entry_point) const {
  const uint64_t element = format::ElementSize(header_.outputs()->Get(op.output())->type());
  uint64_t bytes = element;
  bool valid = true;
  for (const format::OutputDim* dim : *op.output_dims()) {
    valid = valid && dim->rule() != format::DimRule::Infer;
    if (dim->rule() == format::DimRule::Constant) valid = valid && CheckedMultiply(bytes, dim->value(), &bytes);
  }
  const auto* data = op.operation_as_Constant()->data();
  if (header_.outputs()->Get(op.output())->type() == format::DataType::Bool && data != nullptr) {
    valid = valid && std::all_of(data->begin(), data->end(), [](uint8_t byte) { return byte <= 1; });
  }
  const uint64_t size = data == nullptr ? 0 : data->size();
  const bool filled = size == element && bytes <= format::kMaxFilledBytes;  // the sum is checked later
  if (valid && (filled || (size == bytes && !ReadsDims(op)))) return Status();
  return Status::Error(TIED_CORRUPT,
                       "%s: entry point '%s': the constant for output %u does not match its shape or type", name_,
                       entry_point, op.output());
}

// Outputs that are stored as one element take memory that the file does not.
Status Validator::CheckFilled(const format::EntryPoint& entry_point) const {
  uint64_t sum = 0;
  for (const format::Op* op : *entry_point.ops()) {
    const format::Constant* constant = op->operation_as_Constant();
    if (constant == nullptr || constant->data() == nullptr) continue;
    uint64_t bytes = constant->data()->size();
    for (const format::OutputDim* dim : *op->output_dims()) {
      if (dim->rule() == format::DimRule::Constant) bytes *= static_cast<uint64_t>(dim->value());
    }
    // A constant with all its elements is bounded by the header.
    if (constant->data()->size() == format::ElementSize(header_.outputs()->Get(op->output())->type())) sum += bytes;
  }
  if (sum <= format::kMaxFilledBytes) return Status();
  return Status::Error(TIED_CORRUPT,
                       "%s: entry point '%s' has constants of %" PRIu64 " bytes; at most %" PRIu64 " are allowed",
                       name_, entry_point.name()->c_str(), sum, format::kMaxFilledBytes);
}

Status Validator::CheckOp(const format::Op& op, const char* entry_point) const {
  TIED_RETURN_IF_ERROR(CheckAlignment(op, entry_point));
  const bool constant = op.operation_type() == format::Operation::Constant;
  const bool reads = !constant || ReadsDims(op);
  if (op.output() >= header_.outputs()->size() || (reads && op.input() >= header_.inputs()->size())) {
    return Status::Error(TIED_CORRUPT, "%s: entry point '%s' uses input %u and output %u; not both exist", name_,
                         entry_point, op.input(), op.output());
  }
  const format::ValueInfo* input = reads ? header_.inputs()->Get(op.input()) : nullptr;
  TIED_RETURN_IF_ERROR(CheckOutputDims(op, reads ? input->dims()->size() : 0, entry_point));
  switch (op.operation_type()) {
    case format::Operation::Embedding: {
      const format::Embedding& embedding = *op.operation_as_Embedding();
      const bool types_fit = (input->type() == format::DataType::Int64 || input->type() == format::DataType::Int32) &&
                             header_.outputs()->Get(op.output())->type() == format::DataType::Float32;
      TIED_RETURN_IF_ERROR(CheckTypes(op, embedding.table(), types_fit, entry_point));
      if (std::isfinite(embedding.scale())) return Status();
      return Status::Error(TIED_CORRUPT, "%s: entry point '%s': the embedding's scale is not finite", name_,
                           entry_point);
    }
    case format::Operation::Head:
      return CheckHead(op, *input, entry_point);
    case format::Operation::Constant:
      return CheckConstant(op, entry_point);
    default:
      return Status::Error(TIED_UNSUPPORTED, "%s: entry point '%s' has unknown operation %d", name_, entry_point,
                           static_cast<int>(op.operation_type()));
  }
}

Status Validator::CheckEntryPoint(const format::EntryPoint& entry_point) const {
  const char* what = entry_point.name()->c_str();
  if (entry_point.ops()->size() > header_.outputs()->size()) {
    return Status::Error(TIED_CORRUPT, "%s: entry point '%s' has more operations than the model has outputs", name_,
                         what);
  }
  bool written[format::kMaxItems] = {};
  for (const format::Op* op : *entry_point.ops()) {
    TIED_RETURN_IF_ERROR(CheckOp(*op, what));
    if (written[op->output()]) {
      return Status::Error(TIED_CORRUPT, "%s: entry point '%s' writes output %u twice", name_, what, op->output());
    }
    written[op->output()] = true;
  }
  TIED_RETURN_IF_ERROR(CheckFilled(entry_point));
  if (entry_point.selectors() == nullptr) return Status();
  for (const format::Selector* selector : *entry_point.selectors()) {
    if (selector->input() >= header_.inputs()->size() ||
        header_.inputs()->Get(selector->input())->type() != format::DataType::Bool) {
      return Status::Error(TIED_CORRUPT, "%s: entry point '%s' is selected by input %u, which is not a Boolean input",
                           name_, what, selector->input());
    }
  }
  return Status();
}

Status Validator::Run() {
  TIED_RETURN_IF_ERROR(CheckNames(*header_.inputs(), "input"));
  TIED_RETURN_IF_ERROR(CheckNames(*header_.outputs(), "output"));
  TIED_RETURN_IF_ERROR(CheckNames(*header_.entry_points(), "entry point"));
  for (const format::ValueInfo* input : *header_.inputs()) TIED_RETURN_IF_ERROR(CheckValue(*input, "input"));
  for (const format::ValueInfo* output : *header_.outputs()) TIED_RETURN_IF_ERROR(CheckValue(*output, "output"));
  TIED_RETURN_IF_ERROR(
      ForEachPlane(header_, [this](const format::Plane& plane, const char* what) { return CheckPlane(plane, what); }));
  TIED_RETURN_IF_ERROR(CheckOverlaps());
  for (const format::TiedTable* table : *header_.tables()) TIED_RETURN_IF_ERROR(CheckTable(*table));
  for (const format::EntryPoint* entry_point : *header_.entry_points()) {
    TIED_RETURN_IF_ERROR(CheckEntryPoint(*entry_point));
  }
  return Status();
}

}  // namespace

bool ReadsDims(const format::Op& op) {
  for (const format::OutputDim* dim : *op.output_dims()) {
    if (dim->rule() == format::DimRule::InputDim) return true;
  }
  return false;
}

Status ValidateHeader(const format::Header& header, uint64_t header_end, uint64_t file_size, const char* name) {
  return Validator(header, header_end, file_size, name).Run();
}

}  // namespace tied::runtime
