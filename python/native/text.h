// Text of a file or of the system, which need not be UTF-8, as Python keeps it.
#ifndef TIED_PYTHON_TEXT_H_
#define TIED_PYTHON_TEXT_H_

#include <nanobind/nanobind.h>

#include <string_view>

namespace tied::python {

// As os.fsdecode(): other bytes become surrogates, which os.fsencode() turns back.
inline nanobind::object Text(std::string_view bytes) {
  PyObject* text = PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "surrogateescape");
  if (text == nullptr) throw nanobind::python_error();
  return nanobind::steal(text);
}

}  // namespace tied::python

#endif  // TIED_PYTHON_TEXT_H_
