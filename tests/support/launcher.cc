#include "tests/support/launcher.h"

#include <iterator>
#include <sstream>

namespace tied::test {

std::vector<std::string> Launcher() {
  std::istringstream words(TIED_TEST_LAUNCHER);
  return {std::istream_iterator<std::string>(words), {}};
}

}  // namespace tied::test
