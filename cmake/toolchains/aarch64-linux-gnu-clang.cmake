# 64-bit Arm with Clang, lld and libc++, which is what Android's NDK has: for the size of libtied_jni.so.
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(TIED_TRIPLE aarch64-linux-gnu)
set(TIED_DEBIAN_ARCH arm64)
set(TIED_QEMU qemu-aarch64)
set(TIED_CLANG ON)
include("${CMAKE_CURRENT_LIST_DIR}/debian-cross.cmake")
