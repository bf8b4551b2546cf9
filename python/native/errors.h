// Exceptions of C++ as those of tied/errors.py.
#ifndef TIED_PYTHON_ERRORS_H_
#define TIED_PYTHON_ERRORS_H_

#include "tied/tied.hpp"

namespace tied::python {

// A name that a call did not find: a LookupError in Python, where a missing file is a FileNotFoundError.
class NameNotFound : public Error {
 public:
  using Error::Error;
};

// Registers the translations, with the GIL.
void TranslateErrors();

}  // namespace tied::python

#endif  // TIED_PYTHON_ERRORS_H_
