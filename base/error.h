// Exceptions of the commands, caught in main().
#ifndef TIED_BASE_ERROR_H_
#define TIED_BASE_ERROR_H_

#include <stdexcept>
#include <string>

namespace tied {

// An error in the input or from the system. The message names the file or node, what was found and what was expected.
class CommandError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

namespace converter {

using ConvertError = CommandError;

}  // namespace converter

}  // namespace tied

#endif  // TIED_BASE_ERROR_H_
