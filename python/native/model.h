#ifndef TIED_PYTHON_MODEL_H_
#define TIED_PYTHON_MODEL_H_

#include <nanobind/nanobind.h>

#include <memory>

#include "native/handles.h"

namespace tied::python {

// The class tied._native.Model.
class PyModel {
 public:
  explicit PyModel(std::shared_ptr<ModelHandle> handle) : handle_(std::move(handle)) {}

  // Throws ValueError if the model is closed.
  const std::shared_ptr<ModelHandle>& handle() const;

  void Close() { handle_.reset(); }
  bool closed() const { return handle_ == nullptr; }

 private:
  std::shared_ptr<ModelHandle> handle_;
};

void DefineModel(nanobind::module_* module);

}  // namespace tied::python

#endif  // TIED_PYTHON_MODEL_H_
