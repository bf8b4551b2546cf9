#include "runtime/api/typed_calls.h"

#include <cinttypes>
#include <memory>
#include <new>
#include <utility>

#include "schema/checked_math.h"

namespace tied::runtime {

namespace {

// Checks that `capacity` is at least count * width.
Status CheckCapacity(const char* what, size_t count, size_t width, size_t capacity) {
  size_t needed = 0;
  if (CheckedMultiply(count, width, &needed) && capacity >= needed) return Status();
  return Status::Error(TIED_BUFFER_TOO_SMALL, "%s has room for %zu floats; the result is [%zu, %zu]", what, capacity,
                       count, width);
}

// Finds the head and checks the arguments. Sets *head to null if there are no tokens.
Status FindHead(const Session& session, const float* hidden, size_t tokens, const Head** head) {
  TIED_RETURN_IF_ERROR(session.model().graph().FindHead(head));
  size_t elements = 0;
  if (!CheckedMultiply(tokens, (*head)->table.cols, &elements) ||
      !CheckedMultiply(elements, sizeof(float), &elements)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "%zu tokens are too many", tokens);
  }
  if (tokens == 0) *head = nullptr;
  if (tokens > 0 && hidden == nullptr) return NullArgument("hidden");
  return Status();
}

// Bytes of a bitmap.
size_t BitBytes(size_t bits) { return (bits + 7) / 8; }

void SetBit(uint8_t* bits, size_t i) { bits[i / 8] = static_cast<uint8_t>(bits[i / 8] | 1u << i % 8); }

Status CheckAllowed(const IdMap& map, size_t allowed_bytes) {
  if (allowed_bytes >= BitBytes(map.vocabulary)) return Status();
  return Status::Error(TIED_INVALID_ARGUMENT, "allowed has %zu bytes; %zu ids need %zu", allowed_bytes, map.vocabulary,
                       BitBytes(map.vocabulary));
}

Status CheckRowIds(const IdMap& map, const int64_t* ids, size_t count) {
  if (count > 0 && ids == nullptr) return NullArgument("row_ids");
  for (size_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || static_cast<uint64_t>(ids[i]) >= map.vocabulary) {
      return Status::Error(TIED_OUT_OF_RANGE, "row id %" PRId64 " at position %zu is not in [0, %zu)", ids[i], i,
                           map.vocabulary);
    }
  }
  return Status();
}

// Converts the caller's allowed token ids to a filter of rows.
class Allowed {
 public:
  // Allows the ids whose bit is 1; null: all.
  Status SetBits(const IdMap& map, const uint8_t* bits, size_t bytes) {
    if (bits == nullptr) return Status();
    TIED_RETURN_IF_ERROR(CheckAllowed(map, bytes));
    filter_.bits = bits;
    if (map.ids == nullptr) return Status();
    const RowFilter by_id = filter_;
    TIED_RETURN_IF_ERROR(MakeOwn(map.rows));
    for (size_t row = 0; row < map.rows; ++row) {
      if (by_id.Allows(map.IdOf(row))) SetBit(own_.get(), row);
    }
    filter_.bits = own_.get();
    return Status();
  }

  // Of the allowed ids, keeps those that are listed; null: all.
  Status SetIds(const IdMap& map, const int64_t* ids, size_t count) {
    if (ids == nullptr) return Status();
    TIED_RETURN_IF_ERROR(CheckRowIds(map, ids, count));
    const RowFilter before = filter_;
    const std::unique_ptr<uint8_t[]> bits = std::move(own_);
    TIED_RETURN_IF_ERROR(MakeOwn(map.rows));
    for (size_t i = 0; i < count; ++i) {
      const size_t row = map.RowOf(static_cast<size_t>(ids[i]));
      if (row != kNoRow && before.Allows(row)) SetBit(own_.get(), row);
    }
    filter_.bits = own_.get();
    return Status();
  }

  const RowFilter& filter() const { return filter_; }

 private:
  Status MakeOwn(size_t rows) {
    own_.reset(new (std::nothrow) uint8_t[BitBytes(rows)]());
    return own_ != nullptr ? Status() : Status::Error(TIED_OUT_OF_MEMORY, "no memory for %zu rows", rows);
  }

  RowFilter filter_;
  std::unique_ptr<uint8_t[]> own_;  // the filter's bits if the caller's cannot be used directly
};

}  // namespace

Status Embed(Session& session, const int64_t* ids, size_t count, float* embeddings, size_t capacity) {
  const Embedding* embedding = nullptr;
  TIED_RETURN_IF_ERROR(session.model().graph().FindEmbedding(&embedding));
  if (count == 0) return Status();
  if (ids == nullptr) return NullArgument("ids");
  if (embeddings == nullptr) return NullArgument("embeddings");
  TIED_RETURN_IF_ERROR(CheckCapacity("embeddings", count, embedding->table.cols, capacity));
  const Ids view{ids, TIED_INT64, count};
  TIED_RETURN_IF_ERROR(session.CheckIds(*embedding, view));
  return session.Embed(*embedding, view, embeddings);
}

Status Logits(Session& session, const float* hidden, size_t tokens, const RowFilter& filter, float* logits,
              size_t capacity) {
  const Head* head = nullptr;
  TIED_RETURN_IF_ERROR(FindHead(session, hidden, tokens, &head));
  if (head == nullptr) return Status();
  if (logits == nullptr) return NullArgument("logits");
  TIED_RETURN_IF_ERROR(CheckCapacity("logits", tokens, head->table.ids.vocabulary, capacity));
  TIED_RETURN_IF_ERROR(session.Reserve(*head, tokens));
  return session.Logits(*head, hidden, tokens, filter, /*log_softmax=*/false, logits);
}

Status LogitsOf(Session& session, const float* hidden, size_t tokens, const int64_t* row_ids, size_t row_count,
                float* logits, size_t capacity) {
  const Head* head = nullptr;
  TIED_RETURN_IF_ERROR(FindHead(session, hidden, tokens, &head));
  if (head == nullptr || row_count == 0) return Status();
  if (logits == nullptr) return NullArgument("logits");
  TIED_RETURN_IF_ERROR(CheckCapacity("logits", tokens, row_count, capacity));
  TIED_RETURN_IF_ERROR(CheckRowIds(head->table.ids, row_ids, row_count));
  TIED_RETURN_IF_ERROR(session.Reserve(*head, tokens));
  return session.LogitsOf(*head, hidden, tokens, row_ids, row_count, logits);
}

Status LogitsAllowed(Session& session, const float* hidden, size_t tokens, const uint8_t* allowed, size_t allowed_bytes,
                     float* logits, size_t capacity) {
  const Head* head = nullptr;
  TIED_RETURN_IF_ERROR(FindHead(session, hidden, tokens, &head));
  if (head == nullptr) return Status();
  if (allowed == nullptr) return NullArgument("allowed");
  Allowed rows;
  TIED_RETURN_IF_ERROR(rows.SetBits(head->table.ids, allowed, allowed_bytes));
  return Logits(session, hidden, tokens, rows.filter(), logits, capacity);
}

Status Topk(Session& session, const float* hidden, size_t tokens, size_t k, const tied_topk_options* given,
            const tied_topk_result& result) {
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  TIED_RETURN_IF_ERROR(ReadOptions(given, &options));
  const Head* head = nullptr;
  TIED_RETURN_IF_ERROR(FindHead(session, hidden, tokens, &head));
  if (result.bytes_read != nullptr && head == nullptr) *result.bytes_read = 0;
  if (head == nullptr) return Status();
  if (result.ids == nullptr) return NullArgument("ids");
  if (!(options.log_z_tolerance >= 0)) {
    return Status::Error(TIED_INVALID_ARGUMENT, "log_z_tolerance is %g; it must be at least 0",
                         options.log_z_tolerance);
  }
  const IdMap& map = head->table.ids;
  Allowed rows;
  TIED_RETURN_IF_ERROR(rows.SetBits(map, options.allowed, options.allowed_bytes));
  TIED_RETURN_IF_ERROR(rows.SetIds(map, options.row_ids, options.row_count));
  const TopkRequest request = {k, rows.filter(), options.use_screen != 0, options.log_z_tolerance};
  return session.Topk(*head, hidden, tokens, request, result);
}

}  // namespace tied::runtime
