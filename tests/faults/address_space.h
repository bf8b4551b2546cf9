// Limits the address space of this process.
#ifndef TIED_TESTS_FAULTS_ADDRESS_SPACE_H_
#define TIED_TESTS_FAULTS_ADDRESS_SPACE_H_

#include <cstddef>

namespace tied::test {

// Limits this process to `more` bytes above its current address space. False if the system does not report that.
bool LimitAddressSpace(size_t more);
void UnlimitAddressSpace();

}  // namespace tied::test

#endif  // TIED_TESTS_FAULTS_ADDRESS_SPACE_H_
