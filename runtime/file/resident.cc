#include "runtime/file/resident.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/file/system.h"

namespace tied::runtime {

namespace {

constexpr char kPagemap[] = "/proc/self/pagemap";
constexpr char kSmaps[] = "/proc/self/smaps";

// A file of /proc, read from its beginning.
class ProcFile {
 public:
  explicit ProcFile(const char* name)
      : name_(name), descriptor_(Retry([&] { return open(name, O_RDONLY | O_CLOEXEC); })), error_(errno) {}
  ~ProcFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  ProcFile(const ProcFile&) = delete;
  ProcFile& operator=(const ProcFile&) = delete;

  Status Opened() const { return descriptor_ >= 0 ? Status() : SystemError("open", name_, error_); }

  // Sets *got to the bytes read at `offset`, 0 at the end.
  Status Read(uint64_t offset, void* to, size_t length, size_t* got) const {
    const ssize_t result = Retry([&] { return pread(descriptor_, to, length, static_cast<off_t>(offset)); });
    if (result < 0) return SystemError("read", name_, errno);
    *got = static_cast<size_t>(result);
    return Status();
  }

 private:
  const char* const name_;
  const int descriptor_;
  const int error_;
};

// One 64-bit entry per page; bit 63 is set if the page is present (Linux, Documentation/admin-guide/mm/pagemap.rst).
Status CountByPage(uintptr_t begin, uintptr_t end, uint64_t* bytes) {
  const ProcFile pagemap(kPagemap);
  TIED_RETURN_IF_ERROR(pagemap.Opened());
  uint64_t present = 0;
  const uintptr_t end_page = (end + PageSize() - 1) / PageSize();
  for (uintptr_t page = begin / PageSize(); page < end_page;) {
    uint64_t entries[1024];
    const size_t wanted = std::min<size_t>(end_page - page, 1024) * sizeof entries[0];
    size_t got = 0;
    TIED_RETURN_IF_ERROR(pagemap.Read(uint64_t{page} * sizeof entries[0], entries, wanted, &got));
    if (got < sizeof entries[0]) return SystemError("read", kPagemap, EIO);
    for (size_t i = 0; i < got / sizeof entries[0]; ++i) present += entries[i] >> 63;
    page += got / sizeof entries[0];
  }
  *bytes = present * PageSize();
  return Status();
}

// Adds up the mappings in a range from the lines of smaps: "BEGIN-END perms …" begins a mapping, and "Rss: N kB" is one
// of the lines that follow.
class ResidentMappings {
 public:
  ResidentMappings(uintptr_t begin, uintptr_t end) : begin_(begin), end_(end) {}

  // False if no mapping in the range can follow.
  bool Add(const char* line) {
    if (line[0] == 'R' && line[1] == 's' && line[2] == 's' && line[3] == ':') {
      const uint64_t resident = std::strtoull(line + 4, nullptr, 10) * 1024;
      bytes_ += std::min<uint64_t>(resident, overlap_);
      overlap_ = 0;
    }
    if (!(line[0] >= '0' && line[0] <= '9') && !(line[0] >= 'a' && line[0] <= 'f')) return true;
    char* dash = nullptr;
    const auto first = static_cast<uintptr_t>(std::strtoull(line, &dash, 16));
    if (*dash != '-') return true;
    const auto last = static_cast<uintptr_t>(std::strtoull(dash + 1, nullptr, 16));
    const uintptr_t from = std::max(first, begin_), to = std::min(last, end_);
    overlap_ = from < to ? to - from : 0;
    found_ = found_ || overlap_ > 0;
    return first < end_;
  }

  // Fails if no mapping is in the range.
  Status Finish(uint64_t* bytes) const {
    if (!found_) return Status::Error(TIED_IO_ERROR, "%s does not list the model's memory", kSmaps);
    *bytes = bytes_;
    return Status();
  }

 private:
  const uintptr_t begin_;
  const uintptr_t end_;
  size_t overlap_ = 0;  // of the mapping that began last
  uint64_t bytes_ = 0;
  bool found_ = false;
};

// The system adds up mappings in ascending order as they are read, so what comes after the range costs nothing.
Status CountByMapping(uintptr_t begin, uintptr_t end, uint64_t* bytes) {
  const ProcFile smaps(kSmaps);
  TIED_RETURN_IF_ERROR(smaps.Opened());
  begin = begin / PageSize() * PageSize();
  end = (end + PageSize() - 1) / PageSize() * PageSize();
  ResidentMappings mappings(begin, end);
  char text[4096];
  size_t kept = 0;     // bytes of a line whose end has not been read
  bool skips = false;  // the rest of a line that does not fit: the name of a file
  for (uint64_t offset = 0;;) {
    size_t got = 0;
    TIED_RETURN_IF_ERROR(smaps.Read(offset, text + kept, sizeof text - kept, &got));
    if (got == 0) break;
    offset += got;
    const size_t length = kept + got;
    size_t start = 0;
    for (size_t i = kept; i < length; ++i) {
      if (text[i] != '\n') continue;
      text[i] = '\0';
      if (!skips && !mappings.Add(text + start)) return mappings.Finish(bytes);
      skips = false;
      start = i + 1;
    }
    kept = length - start;
    std::copy(text + start, text + length, text);
    if (kept < sizeof text) continue;
    text[kept - 1] = '\0';
    if (!skips && !mappings.Add(text)) return mappings.Finish(bytes);
    skips = true;
    kept = 0;
  }
  return mappings.Finish(bytes);
}

}  // namespace

Status CountResident(const void* data, size_t size, uint64_t* bytes) {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const Status by_page = CountByPage(begin, begin + size, bytes);
  // A process that is not dumpable may not open its pagemap, which then belongs to root.
  if (by_page.ok() || CountByMapping(begin, begin + size, bytes).ok()) return Status();
  return by_page;
}

}  // namespace tied::runtime
