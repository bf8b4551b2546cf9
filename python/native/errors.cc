#include "native/errors.h"

#include <nanobind/nanobind.h>

#include "base/error.h"
#include "native/text.h"

namespace tied::python {

namespace {

namespace nb = nanobind;

// Sets the exception that a function of tied/errors.py makes. If that fails, its own exception is set.
template <typename... Arguments>
void Raise(const char* function, const Arguments&... arguments) {
  try {
    const nb::object error = nb::module_::import_("tied.errors").attr(function)(arguments...);
    PyErr_SetObject(error.type().ptr(), error.ptr());
  } catch (nb::python_error& error) {
    error.restore();
  }
}

void Translate(const std::exception_ptr& exception, void*) {
  try {
    std::rethrow_exception(exception);
  } catch (const NameNotFound& error) {
    Raise("_name_not_found", Text(error.what()));
  } catch (const Error& error) {
    Raise("_of_status", error.status(), Text(error.what()));
  } catch (const converter::ConvertError& error) {
    Raise("ConvertError", Text(error.what()));
  }
}

}  // namespace

void TranslateErrors() { nb::register_exception_translator(Translate); }

}  // namespace tied::python
