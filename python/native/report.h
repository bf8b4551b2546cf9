#ifndef TIED_PYTHON_REPORT_H_
#define TIED_PYTHON_REPORT_H_

#include <nanobind/nanobind.h>

#include "converter/report.h"

namespace tied::python {

// The report as dicts and lists, with the names of the C++ structs' members.
nanobind::dict DictOf(const converter::ConvertReport& report);

}  // namespace tied::python

#endif  // TIED_PYTHON_REPORT_H_
