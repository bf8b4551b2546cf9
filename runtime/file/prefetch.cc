#include "runtime/file/prefetch.h"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>

#include "tied_generated.h"

namespace tied::runtime {

namespace {

constexpr size_t kPieceBytes = size_t{4} << 20;
constexpr size_t kBufferBytes = size_t{256} << 10;

// Parts of the file, in the order in which they are read.
class Ranges {
 public:
  void Add(size_t offset, size_t length) { ranges_[count_++] = {offset, length}; }
  void Add(const format::Plane* plane) {
    if (plane != nullptr) Add(static_cast<size_t>(plane->offset()), static_cast<size_t>(plane->length()));
  }

  uint64_t total() const {
    uint64_t bytes = 0;
    for (size_t i = 0; i < count_; ++i) bytes += ranges_[i].length;
    return bytes;
  }

  // Calls visit(offset, length, length of the piece that follows it in the same range) for pieces of at most
  // kPieceBytes. Stops at the first error and returns it.
  template <class Visit>
  Status ForEachPiece(const Visit& visit) const {
    for (size_t i = 0; i < count_; ++i) {
      for (size_t done = 0; done < ranges_[i].length; done += kPieceBytes) {
        const size_t left = ranges_[i].length - done;
        const size_t length = std::min(left, kPieceBytes);
        TIED_RETURN_IF_ERROR(visit(ranges_[i].offset + done, length, std::min(left - length, kPieceBytes)));
      }
    }
    return Status();
  }

 private:
  struct Range {
    size_t offset;
    size_t length;
  };
  Range ranges_[10];
  size_t count_ = 0;
};

// What the first pass of a top-k reads. It reads the rest of a screen, and the values beside one, for few rows.
void AddTopk(const Model& model, Ranges* ranges) {
  const Head* head = nullptr;
  if (!model.graph().FindHead(&head).ok()) return;
  const format::TiedTable& table = *model.header().tables()->Get(static_cast<uint32_t>(head->table_index));
  const format::Screen* screen = table.screen();
  if (screen == nullptr || screen->upper() == nullptr) ranges->Add(table.values());
  ranges->Add(table.scales());
  ranges->Add(table.zero_points());
  ranges->Add(table.ids());
  if (screen != nullptr) {
    ranges->Add(screen->upper());
    ranges->Add(screen->scales());
    ranges->Add(screen->upper_norms());
    ranges->Add(screen->column_values());
    ranges->Add(screen->column_scales());
  }
  if (head->bias == nullptr) return;
  const auto* bias = reinterpret_cast<const unsigned char*>(head->bias);
  ranges->Add(static_cast<size_t>(bias - model.file().data()), head->table.rows * sizeof(float));
}

}  // namespace

Status Prefetch(const Model& model, bool everything, tied_prefetch_callback callback, void* user) {
  Ranges ranges;
  if (everything) {
    ranges.Add(0, model.file().size());
  } else {
    AddTopk(model, &ranges);
  }
  const std::unique_ptr<unsigned char[]> buffer(new (std::nothrow) unsigned char[kBufferBytes]);
  if (buffer == nullptr) return Status::Error(TIED_OUT_OF_MEMORY, "no memory to read the model");
  const uint64_t total = ranges.total();
  uint64_t done = 0;
  const auto report = [&] {
    if (callback == nullptr || callback(user, done, total) == 0) return Status();
    return Status::Error(TIED_CANCELLED, "the callback stopped reading the model");
  };
  TIED_RETURN_IF_ERROR(report());
  // Storage reads the next piece while this one is copied and its progress shown.
  return ranges.ForEachPiece([&](size_t offset, size_t length, size_t next) {
    TIED_RETURN_IF_ERROR(model.file().ReadIntoCache(offset, length, next, buffer.get(), kBufferBytes));
    done += length;
    return report();
  });
}

}  // namespace tied::runtime
