// An open .tied file, shared by any number of threads and sessions.
#ifndef TIED_RUNTIME_MODEL_H_
#define TIED_RUNTIME_MODEL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "runtime/header.h"
#include "runtime/mapped_file.h"
#include "runtime/status.h"

namespace tied::runtime {

// A table as the kernels take it.
struct TableView {
  const float* values;  // [rows, cols]
  size_t rows;
  size_t cols;
};

// Counts its owners: the caller who opened it and each session. Everything but that count and the advice given to the
// kernel is constant, so all members but Unref may be called from any thread.
class Model {
 public:
  // Takes the file over. On success *model has one owner.
  static Status Create(MappedFile file, const char* name, bool verify_planes, Model** model);

  void Ref() { owners_.fetch_add(1, std::memory_order_relaxed); }
  void Unref();

  const format::Header& header() const { return *header_; }
  uint32_t format_version() const { return header_.format_version(); }
  uint64_t file_size() const { return file_.size(); }

  TableView Table(size_t index) const;
  const float* Floats(const format::Plane& plane) const;

  Status VerifyPlanes() const;

  // Tells the kernel that whole tables are about to be read; the first call after opening or Trim() acts.
  void PrepareForHead();

  // Gives the pages back.
  Status Trim();

 private:
  Model(MappedFile file, Header header);
  ~Model() = default;
  Status VerifyPlane(const format::Plane& plane, const char* what) const;
  void ExpectGathers();

  std::atomic<size_t> owners_{1};
  std::atomic<bool> prepared_for_head_{false};
  const MappedFile file_;
  const Header header_;
};

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_MODEL_H_
