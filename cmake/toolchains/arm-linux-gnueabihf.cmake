# 32-bit Arm boards with ARMv7 and hardware floating point. A table must fit in the address space, 2 to 3 GB.
set(CMAKE_SYSTEM_PROCESSOR armv7-a)
set(TIED_TRIPLE arm-linux-gnueabihf)
set(TIED_DEBIAN_ARCH armhf)
set(TIED_QEMU qemu-arm)
# Silences GCC's note on an ABI change in version 7.1.
set(CMAKE_CXX_FLAGS_INIT -Wno-psabi)
include("${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake")
