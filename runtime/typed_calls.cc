#include "runtime/typed_calls.h"

#include <cinttypes>
#include <memory>
#include <new>

#include "schema/checked_math.h"

namespace tied::runtime {

namespace {

// The model's first operation of a kind.
template <class Operation>
const Operation* FirstOp(const Model& model) {
  for (const format::EntryPoint* entry_point : *model.header().entry_points()) {
    for (const format::Op* op : *entry_point->ops()) {
      if (const Operation* found = op->operation_as<Operation>()) return found;
    }
  }
  return nullptr;
}

// `capacity` elements are enough for count * width.
Status CheckCapacity(const char* what, size_t count, size_t width, size_t capacity) {
  size_t needed = 0;
  if (CheckedMultiply(count, width, &needed) && capacity >= needed) return Status();
  return Status::Error(TIED_BUFFER_TOO_SMALL, "%s has room for %zu floats, [%zu, %zu] do not fit", what, capacity,
                       count, width);
}

// The head, if there are tokens to run it on; null if there are none.
Status FindHead(const Session& session, const float* hidden, size_t tokens, const format::MatMul** matmul) {
  *matmul = FirstOp<format::MatMul>(session.model());
  if (*matmul == nullptr) return Status::Error(TIED_UNSUPPORTED, "the model has no lm_head");
  const TableView table = session.model().Table((*matmul)->table());
  size_t elements = 0;
  if (!CheckedMultiply(tokens, table.cols, &elements) || !CheckedMultiply(elements, sizeof(float), &elements)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "%zu tokens are too many", tokens);
  }
  if (tokens == 0) *matmul = nullptr;
  if (tokens > 0 && hidden == nullptr) return NullArgument("hidden");
  return Status();
}

Status CheckAllowed(const TableView& table, size_t allowed_bytes) {
  if (allowed_bytes >= (table.rows + 7) / 8) return Status();
  return Status::Error(TIED_INVALID_ARGUMENT, "allowed has %zu bytes, %zu rows need %zu", allowed_bytes, table.rows,
                       (table.rows + 7) / 8);
}

Status CheckRowIds(const TableView& table, const int64_t* ids, size_t count) {
  if (count > 0 && ids == nullptr) return NullArgument("row_ids");
  for (size_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || static_cast<uint64_t>(ids[i]) >= table.rows) {
      return Status::Error(TIED_OUT_OF_RANGE, "row id %" PRId64 " at position %zu is not in [0, %zu)", ids[i], i,
                           table.rows);
    }
  }
  return Status();
}

// The rows that the options allow. `own` holds them if the caller's bits are not enough.
Status MakeFilter(const TableView& table, const tied_topk_options& options, std::unique_ptr<uint8_t[]>* own,
                  RowFilter* filter) {
  if (options.allowed != nullptr) TIED_RETURN_IF_ERROR(CheckAllowed(table, options.allowed_bytes));
  filter->bits = options.allowed;
  if (options.row_ids == nullptr) return Status();
  TIED_RETURN_IF_ERROR(CheckRowIds(table, options.row_ids, options.row_count));
  const size_t bytes = (table.rows + 7) / 8;
  own->reset(new (std::nothrow) uint8_t[bytes]());
  if (*own == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory for %zu rows", table.rows);
  for (size_t i = 0; i < options.row_count; ++i) {
    const auto row = static_cast<size_t>(options.row_ids[i]);
    if (filter->Allows(row)) (*own)[row / 8] = static_cast<uint8_t>((*own)[row / 8] | 1u << row % 8);
  }
  filter->bits = own->get();
  return Status();
}

}  // namespace

Status Embed(Session& session, const int64_t* ids, size_t count, float* embeddings, size_t capacity) {
  const format::Gather* gather = FirstOp<format::Gather>(session.model());
  if (gather == nullptr) return Status::Error(TIED_UNSUPPORTED, "the model has no embedding");
  if (count == 0) return Status();
  if (ids == nullptr) return NullArgument("ids");
  if (embeddings == nullptr) return NullArgument("embeddings");
  TIED_RETURN_IF_ERROR(CheckCapacity("embeddings", count, session.model().Table(gather->table()).cols, capacity));
  const Ids view{ids, format::DataType::Int64, count};
  TIED_RETURN_IF_ERROR(session.CheckIds(*gather, view));
  session.Gather(*gather, view, embeddings);
  return Status();
}

Status Logits(Session& session, const float* hidden, size_t tokens, const RowFilter& filter, float* logits,
              size_t capacity) {
  const format::MatMul* matmul = nullptr;
  TIED_RETURN_IF_ERROR(FindHead(session, hidden, tokens, &matmul));
  if (matmul == nullptr) return Status();
  if (logits == nullptr) return NullArgument("logits");
  TIED_RETURN_IF_ERROR(CheckCapacity("logits", tokens, session.model().Table(matmul->table()).rows, capacity));
  TIED_RETURN_IF_ERROR(session.Reserve(*matmul, tokens));
  return session.MatMul(*matmul, hidden, tokens, filter, logits);
}

Status LogitsOf(Session& session, const float* hidden, size_t tokens, const int64_t* row_ids, size_t row_count,
                float* logits, size_t capacity) {
  const format::MatMul* matmul = nullptr;
  TIED_RETURN_IF_ERROR(FindHead(session, hidden, tokens, &matmul));
  if (matmul == nullptr || row_count == 0) return Status();
  if (logits == nullptr) return NullArgument("logits");
  TIED_RETURN_IF_ERROR(CheckCapacity("logits", tokens, row_count, capacity));
  TIED_RETURN_IF_ERROR(CheckRowIds(session.model().Table(matmul->table()), row_ids, row_count));
  TIED_RETURN_IF_ERROR(session.Reserve(*matmul, tokens));
  return session.MatMulOf(*matmul, hidden, tokens, row_ids, row_count, logits);
}

Status LogitsAllowed(Session& session, const float* hidden, size_t tokens, const uint8_t* allowed, size_t allowed_bytes,
                     float* logits, size_t capacity) {
  const format::MatMul* matmul = nullptr;
  TIED_RETURN_IF_ERROR(FindHead(session, hidden, tokens, &matmul));
  if (matmul == nullptr) return Status();
  if (allowed == nullptr) return NullArgument("allowed");
  TIED_RETURN_IF_ERROR(CheckAllowed(session.model().Table(matmul->table()), allowed_bytes));
  return Logits(session, hidden, tokens, RowFilter{allowed}, logits, capacity);
}

Status Topk(Session& session, const float* hidden, size_t tokens, size_t k, const tied_topk_options* given,
            const tied_topk_result& result) {
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  TIED_RETURN_IF_ERROR(ReadOptions(given, &options));
  const format::MatMul* matmul = nullptr;
  TIED_RETURN_IF_ERROR(FindHead(session, hidden, tokens, &matmul));
  if (result.bytes_read != nullptr && matmul == nullptr) *result.bytes_read = 0;
  if (matmul == nullptr) return Status();
  if (result.ids == nullptr) return NullArgument("ids");
  if (!(options.log_z_tolerance >= 0)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "log_z_tolerance is %g, it must be at least 0",
                         options.log_z_tolerance);
  }
  std::unique_ptr<uint8_t[]> own;
  TopkRequest request = {k, RowFilter(), options.use_screen != 0, options.log_z_tolerance};
  TIED_RETURN_IF_ERROR(MakeFilter(session.model().Table(matmul->table()), options, &own, &request.filter));
  return session.Topk(*matmul, hidden, tokens, request, result);
}

}  // namespace tied::runtime
