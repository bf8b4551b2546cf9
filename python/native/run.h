// The tensors of tied_run(), from lists of names and arrays.
#ifndef TIED_PYTHON_RUN_H_
#define TIED_PYTHON_RUN_H_

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <deque>
#include <string>
#include <vector>

#include "tied/tied.h"

namespace tied::python {

// Made and destroyed with the GIL.
class Tensors {
 public:
  // entry_point: its name as bytes, or None. inputs: (name as bytes, array), with types that tied_run() knows.
  Tensors(const nanobind::object& entry_point, const nanobind::list& inputs);

  // Outputs are (name as bytes, array or None). Returns the elements of all arrays.
  double AddOutputs(const nanobind::list& outputs);

  // (type, shape) of each output, after tied_run().
  nanobind::list OutputShapes() const;

  const char* entry_point() const { return names_[0].empty() ? nullptr : names_[0].c_str(); }

  std::vector<tied_tensor> inputs;
  std::vector<tied_tensor> outputs;

 private:
  const char* Name(const nanobind::handle& name);

  std::deque<std::string> names_;  // of the entry point, then of the tensors
  std::vector<nanobind::ndarray<nanobind::ro, nanobind::c_contig, nanobind::device::cpu>> arrays_;
};

}  // namespace tied::python

#endif  // TIED_PYTHON_RUN_H_
