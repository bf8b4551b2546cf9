#ifndef TIED_PYTHON_CONVERT_H_
#define TIED_PYTHON_CONVERT_H_

#include <nanobind/nanobind.h>

namespace tied::python {

// Defines tied._native.convert and split, which take paths as bytes and return the report as a dict.
void DefineConvert(nanobind::module_* module);

}  // namespace tied::python

#endif  // TIED_PYTHON_CONVERT_H_
