// Runs programs of this build from tests.
#ifndef TIED_TESTS_SUPPORT_LAUNCHER_H_
#define TIED_TESTS_SUPPORT_LAUNCHER_H_

#include <string>
#include <vector>

namespace tied::test {

// The words to put before a command: an emulator, if the program was built for another CPU.
std::vector<std::string> Launcher();

}  // namespace tied::test

#endif  // TIED_TESTS_SUPPORT_LAUNCHER_H_
