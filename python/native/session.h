#ifndef TIED_PYTHON_SESSION_H_
#define TIED_PYTHON_SESSION_H_

#include <nanobind/nanobind.h>

namespace tied::python {

// Defines the class tied._native.Session. tied/session.py checks dtypes, shapes and order of the arrays that it passes.
void DefineSession(nanobind::module_* module);

}  // namespace tied::python

#endif  // TIED_PYTHON_SESSION_H_
