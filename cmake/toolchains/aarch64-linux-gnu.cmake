# 64-bit Arm boards (Raspberry Pi 3 and later, i.MX 8, RK3588, …).
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(TIED_TRIPLE aarch64-linux-gnu)
set(TIED_DEBIAN_ARCH arm64)
set(TIED_QEMU qemu-aarch64)
include("${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake")
