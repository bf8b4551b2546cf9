#include "runtime/file/graph.h"

#include <new>

#include "runtime/file/header.h"
#include "schema/number_format.h"
#include "tied_generated.h"

namespace tied::runtime {

namespace {

template <class Ours, class Theirs>
constexpr bool SameNumber(Ours ours, Theirs theirs) {
  return static_cast<int>(ours) == static_cast<int>(theirs);
}
static_assert(kScreenColumns == format::kScreenColumns);
static_assert(SameNumber(OutputDim::Rule::kConstant, format::DimRule::Constant) &&
              SameNumber(OutputDim::Rule::kInputDim, format::DimRule::InputDim) &&
              SameNumber(OutputDim::Rule::kInfer, format::DimRule::Infer));
static_assert(SameNumber(Operation::Result::kLogits, format::HeadResult::Logits) &&
              SameNumber(Operation::Result::kTopkValues, format::HeadResult::TopkValues) &&
              SameNumber(Operation::Result::kTopkIds, format::HeadResult::TopkIds));

const unsigned char* BytesAt(const unsigned char* file, const format::Plane& plane) { return file + plane.offset(); }

const float* FloatsAt(const unsigned char* file, const format::Plane& plane) {
  return reinterpret_cast<const float*>(BytesAt(file, plane));
}

// 0: one scale for the whole table.
uint64_t ScalesPerRow(const format::TiedTable& table) {
  switch (format::ScaleOfTable(table)) {
    case format::ScaleOf::kTable:
      return 0;
    case format::ScaleOf::kRow:
      return 1;
    default:
      return format::BlocksOf(table.cols());
  }
}

ScreenView ResolveScreen(const format::TiedTable& table, const format::Screen& screen, const unsigned char* file) {
  ScreenView view = {};
  view.upper = BytesAt(file, screen.upper() == nullptr ? *table.values() : *screen.upper());
  view.lower = BytesAt(file, *screen.lower());
  view.row_bytes = static_cast<size_t>(format::RowBytes(format::DataType::Int4, table.cols()));
  view.upper_norms = FloatsAt(file, *screen.upper_norms());
  if (screen.scales() != nullptr) view.scales = FloatsAt(file, *screen.scales());
  if (screen.norms() != nullptr) view.norms = FloatsAt(file, *screen.norms());
  if (screen.columns() == nullptr) return view;
  view.columns = screen.columns()->data();
  view.column_values = reinterpret_cast<const int8_t*>(BytesAt(file, *screen.column_values()));
  view.column_scales = FloatsAt(file, *screen.column_scales());
  return view;
}

TableView ResolveTable(const format::TiedTable& table, const MappedFile& mapped) {
  const unsigned char* file = mapped.data();
  TableView view = {};
  view.type = static_cast<tied_type>(table.type());
  view.values = BytesAt(file, *table.values());
  view.rows = static_cast<size_t>(table.rows());
  view.cols = static_cast<size_t>(table.cols());
  view.ids = {nullptr, view.rows, table.vocabulary() == 0 ? view.rows : static_cast<size_t>(table.vocabulary())};
  if (table.ids() != nullptr) view.ids.ids = reinterpret_cast<const uint32_t*>(BytesAt(file, *table.ids()));
  view.row_bytes = static_cast<size_t>(format::RowBytes(table.type(), table.cols()));
  view.rows_of_file = {mapped.descriptor(), mapped.file_offset() + table.values()->offset()};
  if (table.scales() != nullptr) {
    if (table.scale_type() == format::DataType::Float16) {
      view.half_scales = reinterpret_cast<const uint16_t*>(BytesAt(file, *table.scales()));
    } else {
      view.scales = FloatsAt(file, *table.scales());
    }
    view.scales_per_row = static_cast<size_t>(ScalesPerRow(table));
  }
  if (table.zero_points() != nullptr) view.zero_points = BytesAt(file, *table.zero_points());
  if (const format::Screen* screen = table.screen()) {
    view.screen = ResolveScreen(table, *screen, file);
  }
  return view;
}

Value ResolveValue(const format::ValueInfo& info) {
  Value value = {};
  value.name = info.name()->c_str();
  value.type = static_cast<tied_type>(info.type());
  value.element_size = format::ElementSize(info.type());
  for (const format::Dim* dim : *info.dims()) value.dims[value.rank++] = dim->size();
  return value;
}

// Everything except input and output.
Operation ResolveOperation(const format::Op& op, const unsigned char* file, const TableView* tables) {
  Operation operation = {};
  for (const format::OutputDim* dim : *op.output_dims()) {
    operation.dims[operation.rank++] = {static_cast<OutputDim::Rule>(dim->rule()), dim->value()};
  }
  if (const format::Embedding* embedding = op.operation_as_Embedding()) {
    operation.kind = Operation::Kind::kEmbedding;
    operation.embedding = {embedding->table(), tables[embedding->table()], embedding->scale()};
  } else if (const format::Head* head = op.operation_as_Head()) {
    operation.kind = Operation::Kind::kHead;
    const float* bias = head->bias() == nullptr ? nullptr : FloatsAt(file, *head->bias());
    operation.head = {head->table(), tables[head->table()], bias, head->scale(), head->soft_cap()};
    operation.result = static_cast<Operation::Result>(head->result());
    operation.k = head->k();
    operation.log_softmax = head->log_softmax();
  } else {
    operation.kind = Operation::Kind::kConstant;
    const auto* data = op.operation_as_Constant()->data();
    if (data != nullptr) operation.constant = data->data();
    if (data != nullptr) operation.constant_bytes = data->size();
  }
  return operation;
}

}  // namespace

const char* TypeName(tied_type type) { return format::NameOf(static_cast<format::DataType>(type)); }

template <class T>
bool Graph::Array<T>::Allocate(size_t size) {
  items.reset(new (std::nothrow) T[size]);
  count = items == nullptr ? 0 : size;
  return items != nullptr;
}

bool Graph::Allocate(const format::Header& header) {
  size_t operations = 0, selectors = 0;
  for (const format::EntryPoint* entry_point : *header.entry_points()) {
    operations += entry_point->ops()->size();
    if (entry_point->selectors() != nullptr) selectors += entry_point->selectors()->size();
  }
  return tables_.Allocate(header.tables()->size()) && inputs_.Allocate(header.inputs()->size()) &&
         outputs_.Allocate(header.outputs()->size()) && operations_.Allocate(operations) &&
         selectors_.Allocate(selectors) && entry_points_.Allocate(header.entry_points()->size());
}

Status Graph::Resolve(const format::Header& header, const MappedFile& file, const char* name, Graph* graph) {
  if (!graph->Allocate(header)) return Status::Error(TIED_OUT_OF_MEMORY, "%s: no memory for the model", name);
  const auto resolve_values = [](const auto& infos, Value* value) {
    for (const format::ValueInfo* info : infos) *value++ = ResolveValue(*info);
  };
  resolve_values(*header.inputs(), graph->inputs_.items.get());
  resolve_values(*header.outputs(), graph->outputs_.items.get());
  TableView* table_view = graph->tables_.items.get();
  for (const format::TiedTable* table : *header.tables()) *table_view++ = ResolveTable(*table, file);

  EntryPoint* resolved = graph->entry_points_.items.get();
  Operation* operation = graph->operations_.items.get();
  Selector* selector = graph->selectors_.items.get();
  for (const format::EntryPoint* entry_point : *header.entry_points()) {
    *resolved = {entry_point->name()->c_str(), {selector, 0}, {operation, entry_point->ops()->size()}};
    if (entry_point->selectors() != nullptr) {
      for (const format::Selector* given : *entry_point->selectors()) {
        *selector++ = {&graph->inputs_.items[given->input()], given->value()};
        ++resolved->selectors.count;
      }
    }
    for (const format::Op* op : *entry_point->ops()) {
      *operation = ResolveOperation(*op, file.data(), graph->tables_.items.get());
      operation->output = &graph->outputs_.items[op->output()];
      const bool reads = operation->kind != Operation::Kind::kConstant || ReadsDims(*op);
      if (reads) operation->input = &graph->inputs_.items[op->input()];
      ++operation;
    }
    ++resolved;
  }
  graph->FindFirst();
  return Status();
}

void Graph::FindFirst() {
  for (const Operation& operation : operations_.view()) {
    if (embedding_ == nullptr && operation.kind == Operation::Kind::kEmbedding) embedding_ = &operation.embedding;
    if (head_ == nullptr && operation.kind == Operation::Kind::kHead) head_ = &operation.head;
  }
}

Status Graph::FindEmbedding(const Embedding** embedding) const {
  *embedding = embedding_;
  return embedding_ != nullptr ? Status() : Status::Error(TIED_UNSUPPORTED, "the model has no embedding");
}

Status Graph::FindHead(const Head** head) const {
  *head = head_;
  return head_ != nullptr ? Status() : Status::Error(TIED_UNSUPPORTED, "the model has no lm_head");
}

}  // namespace tied::runtime
