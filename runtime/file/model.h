// An open .tied file, shared by any number of threads and sessions.
#ifndef TIED_RUNTIME_FILE_MODEL_H_
#define TIED_RUNTIME_FILE_MODEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/file/graph.h"
#include "runtime/file/header.h"
#include "runtime/file/mapped_file.h"
#include "runtime/file/status.h"

namespace tied::format {
struct Plane;
}

namespace tied::runtime {

// Reference-counted: the caller who opened it and each session own it. Apart from that count and the advice given to
// the kernel it is constant, so any thread may call all members except Unref(), which each owner calls once.
class Model {
 public:
  // Takes ownership of the file. On success *model has one owner.
  static Status Create(MappedFile file, const char* name, Model** model);

  void Ref() { owners_.fetch_add(1, std::memory_order_relaxed); }
  void Unref();

  const format::Header& header() const { return *header_; }
  uint32_t format_version() const { return header_.format_version(); }
  uint64_t file_size() const { return file_.size(); }
  const MappedFile& file() const { return file_; }

  const Graph& graph() const { return graph_; }

  // Reads the whole file.
  Status VerifyHashes() const;

  // Tell the system that whole tables, or their screens, are about to be read. Only the first call after opening or
  // Trim() has an effect.
  void PrepareForHead();
  void PrepareForScreen();

  // Records that `rows` rows were gathered. Linux maps the cached pages around each. Unless a head reads whole tables,
  // such pages are released often enough that they stay below 8 MiB.
  void CountScatteredRows(size_t rows);

  // Releases all pages.
  Status Trim();

  Status CountResident(uint64_t* bytes) const { return file_.CountResident(bytes); }

 private:
  Model(MappedFile file, Header header);
  ~Model() = default;
  Status CheckIds(const char* name) const;
  void ExpectGathers();
  void ExpectWholeReads(const format::Plane& plane);

  std::atomic<size_t> owners_{1};
  std::atomic<bool> prepared_for_head_{false};
  std::atomic<bool> prepared_for_screen_{false};
  std::atomic<size_t> scattered_rows_{0};  // since their pages were given back
  const MappedFile file_;
  const Header header_;
  Graph graph_;  // points into both; constant once the model is created
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_FILE_MODEL_H_
