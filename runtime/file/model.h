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

// Counts its owners: the caller who opened it and each session. Everything but that count and the advice given to the
// kernel is constant, so all members but Unref may be called from any thread.
class Model {
 public:
  // Takes the file over. On success *model has one owner.
  static Status Create(MappedFile file, const char* name, Model** model);

  void Ref() { owners_.fetch_add(1, std::memory_order_relaxed); }
  void Unref();

  const format::Header& header() const { return *header_; }
  uint32_t format_version() const { return header_.format_version(); }
  uint64_t file_size() const { return file_.size(); }

  const Graph& graph() const { return graph_; }

  // Reads the whole file.
  Status VerifyHashes() const;

  // Tells the kernel that whole tables, or their screens, are about to be read; the first call after opening or Trim()
  // acts.
  void PrepareForHead();
  void PrepareForScreen();

  // Says that so many rows were read here and there. Linux maps the cached pages around each: while no head reads whole
  // tables, they are given back often enough that their growth stays below 8 MiB.
  void CountScatteredRows(size_t rows);

  // Gives the pages back.
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
