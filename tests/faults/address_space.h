// Less address space than a call needs.
#ifndef TIED_TESTS_FAULTS_ADDRESS_SPACE_H_
#define TIED_TESTS_FAULTS_ADDRESS_SPACE_H_

#include <cstddef>

namespace tied::test {

// This process may have `more` bytes than it has now. False if the system does not tell how much that is.
bool LimitAddressSpace(size_t more);
void UnlimitAddressSpace();

}  // namespace tied::test

#endif  // TIED_TESTS_FAULTS_ADDRESS_SPACE_H_
