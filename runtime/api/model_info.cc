// The part of the C ABI that describes a model.
#include <algorithm>
#include <cstring>

#include "kernels/activations.h"
#include "kernels/int_formats.h"
#include "runtime/api/c_abi.h"
#include "runtime/api/typed_calls.h"
#include "runtime/file/model.h"
#include "schema/number_format.h"
#include "tied/tied.h"
#include "tied_generated.h"

using tied::runtime::Embedding;
using tied::runtime::Graph;
using tied::runtime::Head;
using tied::runtime::NullArgument;
using tied::runtime::ReadOptions;
using tied::runtime::Report;
using tied::runtime::Status;
using tied::runtime::TableView;
using tied::runtime::Unwrap;
namespace format = tied::format;

namespace {

// kernels/ and schema/ must not include each other, so the shared constants are compared here.
static_assert(tied::kernels::kBlockCols == format::kBlockCols);
static_assert(tied::kernels::kMaxActivation == format::kLargestQuantisedHidden);

// Calls body(header, index) if `index` is below count(header).
template <class Count, class Body>
tied_status Describe(const tied_model* model, size_t index, const void* info, tied_error* error, const Count& count,
                     const Body& body) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (info == nullptr) return Report(NullArgument("info"), error);
  const format::Header& header = Unwrap(model)->header();
  const size_t items = count(header);
  if (index >= items) {
    return Report(Status::Error(TIED_INVALID_ARGUMENT, "index is %zu; it must be below %zu", index, items), error);
  }
  body(header, static_cast<flatbuffers::uoffset_t>(index));
  return TIED_OK;
}

tied_plane_info PlaneInfo(const format::Plane* plane) {
  if (plane == nullptr) return {};
  return {plane->offset(), plane->length(), plane->hash()};
}

void FillValueInfo(const format::ValueInfo& value, tied_value_info* info) {
  *info = {};
  info->name = value.name()->c_str();
  info->type = static_cast<tied_type>(value.type());
  info->rank = value.dims()->size();
  for (size_t i = 0; i < info->rank; ++i) {
    const format::Dim& dim = *value.dims()->Get(static_cast<flatbuffers::uoffset_t>(i));
    info->dims[i] = dim.size() < 0 ? -1 : dim.size();
    info->symbols[i] = dim.symbol() == nullptr ? "" : dim.symbol()->c_str();
  }
}

void FillOpInfo(const format::Op& op, tied_op_info* info) {
  *info = {format::EnumNameOperation(op.operation_type()), 0, op.input(), op.output(), 1.0f, 0, "", 0, 0, "", 0.0f};
  if (op.origin() != nullptr) info->origin = op.origin()->c_str();
  if (const format::Embedding* embedding = op.operation_as_Embedding()) {
    info->table = embedding->table();
    info->scale = embedding->scale();
  }
  if (const format::Head* head = op.operation_as_Head()) {
    info->table = head->table();
    info->has_bias = head->bias() != nullptr;
    info->result = format::EnumNameHeadResult(head->result());
    if (head->result() != format::HeadResult::Logits) info->k = head->k();
    info->log_softmax = head->log_softmax();
    info->scale = head->scale();
    info->soft_cap = head->soft_cap();
  }
}

// Calls `fill` and copies as much of its result to *info as the caller's version of the struct holds.
template <class Info, class Fill>
tied_status DescribeUse(const tied_model* model, Info* info, tied_error* error, const Fill& fill) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (info == nullptr) return Report(NullArgument("info"), error);
  Info known = {};
  Status status = ReadOptions(info, &known);
  if (status.ok()) status = fill(Unwrap(model)->graph(), &known);
  if (status.ok()) std::memcpy(info, &known, std::min(known.struct_size, sizeof known));
  return Report(status, error);
}

}  // namespace

extern "C" {

tied_status tied_model_get_info(const tied_model* model, tied_model_info* info, tied_error* error) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (info == nullptr) return Report(NullArgument("info"), error);
  const format::Header& header = Unwrap(model)->header();
  const auto text = [](const flatbuffers::String* string) { return string == nullptr ? "" : string->c_str(); };
  *info = {Unwrap(model)->format_version(), Unwrap(model)->file_size(), text(header.producer()),
           text(header.source()),           text(header.graph()),       header.tables()->size(),
           header.inputs()->size(),         header.outputs()->size(),   header.entry_points()->size()};
  return TIED_OK;
}

tied_status tied_model_get_table(const tied_model* model, size_t index, tied_table_info* info, tied_error* error) {
  return Describe(
      model, index, info, error, [](const format::Header& header) { return header.tables()->size(); },
      [&](const format::Header& header, flatbuffers::uoffset_t i) {
        const format::TiedTable& table = *header.tables()->Get(i);
        *info = {};
        info->name = table.name()->c_str();
        info->type = static_cast<tied_type>(table.type());
        info->rows = table.rows();
        info->cols = table.cols();
        info->values = PlaneInfo(table.values());
        const tied::runtime::TableView& view = Unwrap(model)->graph().tables().items[i];
        info->vocabulary = view.ids.vocabulary;
        info->ids = PlaneInfo(table.ids());
        info->id_of_row = view.ids.ids;
        info->data = view.values;
        info->scale_type = table.scales() == nullptr ? TIED_FLOAT32 : static_cast<tied_type>(table.scale_type());
        info->scales = PlaneInfo(table.scales());
        info->zero_points = PlaneInfo(table.zero_points());
        const format::Screen* screen = table.screen();
        if (screen == nullptr) return;
        info->screen_upper = PlaneInfo(screen->upper() == nullptr ? table.values() : screen->upper());
        info->screen_lower = PlaneInfo(screen->lower());
        info->screen_scales = PlaneInfo(screen->scales());
        info->screen_upper_norms = PlaneInfo(screen->upper_norms());
        info->screen_norms = PlaneInfo(screen->norms());
        info->screen_column_values = PlaneInfo(screen->column_values());
        info->screen_column_scales = PlaneInfo(screen->column_scales());
      });
}

tied_status tied_model_get_input(const tied_model* model, size_t index, tied_value_info* info, tied_error* error) {
  return Describe(
      model, index, info, error, [](const format::Header& header) { return header.inputs()->size(); },
      [&](const format::Header& header, flatbuffers::uoffset_t i) { FillValueInfo(*header.inputs()->Get(i), info); });
}

tied_status tied_model_get_output(const tied_model* model, size_t index, tied_value_info* info, tied_error* error) {
  return Describe(
      model, index, info, error, [](const format::Header& header) { return header.outputs()->size(); },
      [&](const format::Header& header, flatbuffers::uoffset_t i) { FillValueInfo(*header.outputs()->Get(i), info); });
}

tied_status tied_model_get_entry_point(const tied_model* model, size_t index, tied_entry_point_info* info,
                                       tied_error* error) {
  return Describe(
      model, index, info, error, [](const format::Header& header) { return header.entry_points()->size(); },
      [&](const format::Header& header, flatbuffers::uoffset_t i) {
        const format::EntryPoint& entry_point = *header.entry_points()->Get(i);
        *info = {entry_point.name()->c_str(), entry_point.selectors() == nullptr ? 0 : entry_point.selectors()->size(),
                 entry_point.ops()->size()};
      });
}

tied_status tied_model_get_selector(const tied_model* model, size_t entry_point, size_t index, tied_selector_info* info,
                                    tied_error* error) {
  tied_entry_point_info parent;
  const tied_status status = tied_model_get_entry_point(model, entry_point, &parent, error);
  if (status != TIED_OK) return status;
  return Describe(
      model, index, info, error, [&](const format::Header&) { return parent.selector_count; },
      [&](const format::Header& header, flatbuffers::uoffset_t i) {
        const auto which = static_cast<flatbuffers::uoffset_t>(entry_point);
        const format::Selector& selector = *header.entry_points()->Get(which)->selectors()->Get(i);
        *info = {selector.input(), selector.value()};
      });
}

tied_status tied_model_get_op(const tied_model* model, size_t entry_point, size_t index, tied_op_info* info,
                              tied_error* error) {
  tied_entry_point_info parent;
  const tied_status status = tied_model_get_entry_point(model, entry_point, &parent, error);
  if (status != TIED_OK) return status;
  return Describe(
      model, index, info, error, [&](const format::Header&) { return parent.op_count; },
      [&](const format::Header& header, flatbuffers::uoffset_t i) {
        const auto which = static_cast<flatbuffers::uoffset_t>(entry_point);
        FillOpInfo(*header.entry_points()->Get(which)->ops()->Get(i), info);
      });
}

tied_status tied_model_get_embedding(const tied_model* model, tied_embedding_info* info, tied_error* error) {
  return DescribeUse(model, info, error, [](const Graph& graph, tied_embedding_info* filled) {
    const Embedding* embedding = nullptr;
    TIED_RETURN_IF_ERROR(graph.FindEmbedding(&embedding));
    const TableView& table = embedding->table;
    filled->table = embedding->table_index;
    filled->cols = table.cols;
    filled->rows = table.rows;
    filled->vocabulary = table.ids.vocabulary;
    filled->scale = embedding->scale;
    return Status();
  });
}

tied_status tied_model_get_head(const tied_model* model, tied_head_info* info, tied_error* error) {
  return DescribeUse(model, info, error, [](const Graph& graph, tied_head_info* filled) {
    const Head* head = nullptr;
    TIED_RETURN_IF_ERROR(graph.FindHead(&head));
    const TableView& table = head->table;
    filled->table = head->table_index;
    filled->cols = table.cols;
    filled->rows = table.rows;
    filled->vocabulary = table.ids.vocabulary;
    filled->has_bias = head->bias != nullptr;
    filled->scale = head->scale;
    filled->soft_cap = head->soft_cap;
    return Status();
  });
}

}  // extern "C"
