// Runs an entry point's operations over the caller's tensors, by the names of the ONNX graph.
#ifndef TIED_RUNTIME_API_INTERPRETER_H_
#define TIED_RUNTIME_API_INTERPRETER_H_

#include <cstddef>

#include "runtime/api/session.h"
#include "runtime/file/status.h"

namespace tied::runtime {

struct Inputs {
  const tied_tensor* tensors;
  size_t count;

  // Null if no tensor has that name.
  const tied_tensor* Find(const char* name) const;
};

struct Outputs {
  tied_tensor* tensors;
  size_t count;
};

// Implements tied_run(); see tied.h. `entry_point` may be null.
Status Run(Session& session, const char* entry_point, const Inputs& inputs, const Outputs& outputs);

}  // namespace tied::runtime

#endif  // TIED_RUNTIME_API_INTERPRETER_H_
