#include "runtime/compute/head.h"

#include <algorithm>
#include <cmath>

#include "kernels/parallel.h"
#include "runtime/compute/gather.h"
#include "runtime/compute/soft_cap.h"
#if defined(TIED_XNNPACK)
#include "kernels/gemm_xnnpack.h"
#endif

namespace tied::runtime {

namespace {

constexpr size_t kTileBytes = 256 * 1024;

// Rows of integers per step: few enough that their sums fit in the L1 cache and on a small stack.
constexpr size_t kSumRows = 32;

// Calls `dot` with rows cast to its element type, and the other arguments.
template <class Element, class... Arguments, class... Given>
void Dot(void (*dot)(const Element*, Arguments...), const unsigned char* rows, Given... given) {
  dot(reinterpret_cast<const Element*>(rows), given...);
}

void DotFloats(const HeadBatch& batch, const unsigned char* rows, size_t count, const float* packed, size_t tokens,
               float* logits, size_t stride) {
  const kernels::FloatKernels& floats = *batch.kernels->floats;
  const TableView& table = batch.table;
  switch (table.type) {
    case TIED_FLOAT32:
      return Dot(floats.f32, rows, count, table.cols, packed, tokens, logits, stride);
    case TIED_FLOAT16:
      return Dot(floats.f16, rows, count, table.cols, packed, tokens, logits, stride);
    default:
      return Dot(floats.bf16, rows, count, table.cols, packed, tokens, logits, stride);
  }
}

void DotNibbles(const HeadBatch& batch, const unsigned char* plane, size_t first, size_t count, uint32_t* sums) {
  const unsigned char* first_row = plane + first * batch.table.screen.row_bytes;
  batch.kernels->nibbles->dot(kernels::NibbleRows::Whole(first_row, nullptr, batch.table.cols), count,
                              batch.packed->activations().packed, batch.tokens, sums, count, nullptr);
}

// logit = sum of (w[k] - zero point) * q[k], times both scales, rounded to float32 once.
void RunRowsOfBytes(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  const TableView& table = batch.table;
  const kernels::ActivationsView activations = batch.packed->activations();
  const kernels::ByteKernels& bytes = *batch.kernels->bytes;
  double sums[kSumRows * kMaxBatch];
  if (table.type == TIED_INT8) {
    Dot(bytes.i8, table.Row(first), count, table.cols, activations, sums, count);
  } else {
    Dot(bytes.u8, table.Row(first), count, table.cols, activations, sums, count);
  }
  for (size_t t = 0; t < batch.tokens; ++t) {
    for (size_t r = 0; r < count; ++r) {
      const double sum = sums[t * count + r] - table.ZeroPoint(first + r) * activations.totals[t];
      const double scale = static_cast<double>(table.RowScale(first + r)) * batch.packed->scale(t);
      logits[t * stride + r] = static_cast<float>(sum * scale);
    }
  }
}

// The same for rows in two planes of nibbles. Sums of (nibble - 8) * q are below 2^31.
void RunNestedRows(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  constexpr size_t kSums = kSumRows * kMaxBatch;
  uint32_t upper[kSums], lower[kSums];
  const TableView& table = batch.table;
  const size_t most = kSums / batch.tokens;
  for (size_t done = 0, rows = 0; done < count; done += rows) {
    rows = std::min(most, count - done);
    DotNibbles(batch, table.screen.upper, first + done, rows, upper);
    DotNibbles(batch, table.screen.lower, first + done, rows, lower);
    for (size_t t = 0; t < batch.tokens; ++t) {
      const double total = batch.packed->activations().totals[t];
      for (size_t r = 0; r < rows; ++r) {
        const size_t row = first + done + r;
        const double sum = kernels::NestedSum(upper[t * rows + r], lower[t * rows + r], table.NestedOffset(row), total);
        const double scale = static_cast<double>(table.RowScale(row)) * batch.packed->scale(t);
        logits[t * stride + done + r] = static_cast<float>(sum * scale);
      }
    }
  }
}

void DotBlocks(const HeadBatch& batch, size_t first, size_t count, float* sums, size_t stride) {
  const kernels::BlockKernels& blocks = *batch.kernels->blocks;
  const TableView& table = batch.table;
  const kernels::BlocksView view = BlocksOfRow(table, first);
  const kernels::ActivationsView activations = batch.packed->activations();
  switch (table.type) {
    case TIED_INT8:
      return Dot(blocks.i8, table.Row(first), view, count, table.cols, activations, sums, stride);
    case TIED_UINT8:
      return Dot(blocks.u8, table.Row(first), view, count, table.cols, activations, sums, stride);
    default:
      return Dot(blocks.i4, table.Row(first), view, count, table.cols, activations, sums, stride);
  }
}

void RunRowsOfBlocks(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  DotBlocks(batch, first, count, logits, stride);
  for (size_t t = 0; t < batch.tokens; ++t) {
    for (size_t r = 0; r < count; ++r) {
      float& logit = logits[t * stride + r];
      logit = static_cast<float>(static_cast<double>(logit) * batch.packed->scale(t));
    }
  }
}

void AddBias(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  if (batch.bias == nullptr) return;
  for (size_t t = 0; t < batch.tokens; ++t) {
    for (size_t r = 0; r < count; ++r) logits[t * stride + r] += batch.bias[first + r];
  }
}

// The logits of rows as a caller gets them.
void RunCappedRows(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  RunRows(batch, first, count, logits, stride);
  for (size_t t = 0; t < batch.tokens; ++t) SoftCapRow(batch.soft_cap, logits + t * stride, count);
}

}  // namespace

size_t TileRows(size_t row_bytes) { return std::clamp<size_t>(kTileBytes / row_bytes, 4, kMaxTileRows); }

void PackForTable(const HeadBatch& batch) {
  if (batch.table.is_float()) {
    batch.packed->PackFloats(*batch.kernels, batch.hidden, batch.tokens, batch.table.cols);
  } else {
    const kernels::Kernels& kernels = *batch.kernels;
    kernels::PackActivations* const pack = batch.table.is_nested()         ? kernels.nibbles->pack
                                           : !batch.table.in_blocks()      ? kernels.bytes->pack
                                           : batch.table.type == TIED_INT4 ? kernels.blocks->pack_for_nibbles
                                                                           : kernels.blocks->pack_for_bytes;
    batch.packed->PackActivations(pack, batch.hidden, batch.tokens, batch.table.cols);
  }
}

void RunRows(const HeadBatch& batch, size_t first, size_t count, float* logits, size_t stride) {
  const TableView& table = batch.table;
  if (table.is_float()) {
    DotFloats(batch, table.Row(first), count, batch.packed->floats(), batch.tokens, logits, stride);
  } else if (table.in_blocks()) {
    RunRowsOfBlocks(batch, first, count, logits, stride);
  } else if (table.is_nested()) {
    RunNestedRows(batch, first, count, logits, stride);
  } else {
    for (size_t r = 0; r < count; r += kSumRows) {
      RunRowsOfBytes(batch, first + r, std::min(kSumRows, count - r), logits + r, stride);
    }
  }
  AddBias(batch, first, count, logits, stride);
}

void RunScattered(pthreadpool_t pool, const HeadBatch& batch, size_t token, const uint32_t* rows, size_t count,
                  unsigned char* row_buffers, float* logits) {
  constexpr size_t kTile = 16;
  const TableView& table = batch.table;
  const float* const hidden = batch.packed->floats_of(token, table.cols);
  const bool read = table.rows_of_file.IsWorthReading(table, count);
  kernels::ForEachTile(pool, *batch.cancelled, count, kTile, [&](const kernels::Tile& tile) {
    unsigned char* buffer = row_buffers + tile.worker * AlignedRowBytes(table.row_bytes);
    for (size_t i = tile.first; i < tile.first + tile.count; ++i) {
      const size_t row = rows[i];
      const bool in_buffer = read && table.rows_of_file.Read(table, row, buffer);
      DotFloats(batch, in_buffer ? buffer : table.Row(row), 1, hidden, 1, &logits[i], 1);
      if (batch.bias != nullptr) logits[i] += batch.bias[row];
    }
  });
}

void RunLogits(pthreadpool_t pool, const HeadBatch& batch, float* logits) {
  PackForTable(batch);
  const TableView& table = batch.table;
  const size_t stride = table.ids.vocabulary;
  kernels::ForEachTile(pool, *batch.cancelled, table.rows, TileRows(table.row_bytes), [&](const kernels::Tile& tile) {
    if (batch.filter.bits != nullptr) {
      for (size_t t = 0; t < batch.tokens; ++t) std::fill_n(logits + t * stride + tile.first, tile.count, -INFINITY);
    }
    batch.filter.ForEachRun(tile.first, tile.count,
                            [&](size_t row, size_t rows) { RunCappedRows(batch, row, rows, logits + row, stride); });
  });
}

void RunLogitsOf(pthreadpool_t pool, const HeadBatch& batch, const int64_t* ids, size_t count, float* logits) {
  PackForTable(batch);
  const TableView& table = batch.table;
  kernels::ForEachTile(pool, *batch.cancelled, count, TileRows(table.row_bytes), [&](const kernels::Tile& tile) {
    for (size_t i = tile.first; i < tile.first + tile.count; ++i) {
      const size_t row = table.ids.RowOf(static_cast<size_t>(ids[i]));
      if (row != kNoRow) {
        RunCappedRows(batch, row, 1, logits + i, count);
      } else {
        for (size_t t = 0; t < batch.tokens; ++t) logits[t * count + i] = -INFINITY;
      }
    }
  });
}

#if defined(TIED_XNNPACK)

namespace {

// Logits with an infinity are computed again without XNNPACK: its clamping turns NaN into infinity, and for a quantised
// table NaN may be the defined result.
bool HasInfinity(const float* logits, size_t count, size_t tokens, size_t stride) {
  bool infinity = false;
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t r = 0; r < count; ++r) infinity |= std::isinf(logits[t * stride + r]);
  }
  return infinity;
}

}  // namespace

bool RunLogitsXnnpack(pthreadpool_t pool, const HeadBatch& batch, float* logits) {
  const TableView& table = batch.table;
  // XNNPACK may read 16 bytes past its input. After the last row there may be no page, so XNNPACK gets all rows except
  // that one.
  if (table.rows < 2 || table.cols < 4) return false;
  const size_t last = table.rows - 1, stride = table.ids.vocabulary;
  kernels::WidenRow* widen = nullptr;
  if (table.type != TIED_FLOAT32) {
    widen = [](const void* context, size_t row, float* values) {
      GatherRow(*static_cast<const TableView*>(context), row, 1.0f, values);
    };
  }
  const kernels::GemmRows rows = {reinterpret_cast<const float*>(table.values), widen, &table};
  if (!kernels::GemmXnnpack(pool, rows, last, table.cols, batch.hidden, batch.tokens, logits, stride,
                            *batch.cancelled)) {
    return false;
  }
  PackForTable(batch);
  for (size_t r = 0; r < last && !batch.is_cancelled(); r += kSumRows) {
    const size_t count = std::min(kSumRows, last - r);
    if (HasInfinity(logits + r, count, batch.tokens, stride)) {
      RunRows(batch, r, count, logits + r, stride);
    } else {
      AddBias(batch, r, count, logits + r, stride);
    }
  }
  RunRows(batch, last, 1, logits + last, stride);
  if (batch.soft_cap == 0) return true;
  kernels::ForEachTile(pool, *batch.cancelled, table.rows, kMaxTileRows, [&](const kernels::Tile& tile) {
    for (size_t t = 0; t < batch.tokens; ++t) SoftCapRow(batch.soft_cap, logits + t * stride + tile.first, tile.count);
  });
  return true;
}

#else

bool RunLogitsXnnpack(pthreadpool_t, const HeadBatch&, float*) { return false; }

#endif

}  // namespace tied::runtime
