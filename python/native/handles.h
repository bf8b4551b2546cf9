// What Python's Model and Session own. Calls hold a handle while they run without the GIL, so that close() in another
// thread takes effect when they have ended. Handles are destroyed with the GIL.
#ifndef TIED_PYTHON_HANDLES_H_
#define TIED_PYTHON_HANDLES_H_

#include <Python.h>

#include <memory>
#include <utility>

#include "native/calls.h"
#include "tied/tied.hpp"

namespace tied::python {

// The memory of a bytes-like object, which cannot be resized or freed meanwhile. Throws nanobind::python_error.
class Memory {
 public:
  explicit Memory(PyObject* object);
  ~Memory() { PyBuffer_Release(&view_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  const void* data() const { return view_.buf; }
  size_t size() const { return static_cast<size_t>(view_.len); }

 private:
  Py_buffer view_;
};

struct ModelHandle {
  explicit ModelHandle(Model opened) : model(std::move(opened)) {}
  ModelHandle(std::unique_ptr<Memory> kept, Model opened) : memory(std::move(kept)), model(std::move(opened)) {}

  std::unique_ptr<Memory> memory;  // the file, if it was opened from memory
  Model model;
};

// A session must not be used or destroyed in a child process, where its threads do not exist.
struct SessionHandle {
  SessionHandle(std::shared_ptr<ModelHandle> of, const tied_session_options& options);
  ~SessionHandle();
  SessionHandle(const SessionHandle&) = delete;
  SessionHandle& operator=(const SessionHandle&) = delete;

  std::shared_ptr<ModelHandle> model;
  tied_session* session = nullptr;
  unsigned forks = Forks();
};

}  // namespace tied::python

#endif  // TIED_PYTHON_HANDLES_H_
