// tied._native: the C ABI and the converter for the Python package around it, which checks arguments and documents.
#include <nanobind/nanobind.h>

#include "native/calls.h"
#include "native/convert.h"
#include "native/errors.h"
#include "native/model.h"
#include "native/session.h"
#include "native/text.h"
#include "tied/tied.h"

namespace nb = nanobind;

namespace {

// (isa, available, selected) of each set of kernels, slowest first.
nb::list Kernels() {
  nb::list kernels;
  for (size_t i = 0; i < tied_kernel_count(); ++i) {
    tied_kernel_info info = {};
    tied_kernel_get_info(i, &info, nullptr);
    kernels.append(nb::make_tuple(tied::python::Text(info.isa), info.available != 0, info.selected != 0));
  }
  return kernels;
}

}  // namespace

NB_MODULE(_native, module) {
  nb::set_leak_warnings(false);  // objects that live until the interpreter's exit are not an error
  tied::python::TranslateErrors();
  tied::python::WatchProcess();
  tied::python::DefineModel(&module);
  tied::python::DefineSession(&module);
  tied::python::DefineConvert(&module);
  module.def("kernels", Kernels);
  module.def("version", tied_version);
}
