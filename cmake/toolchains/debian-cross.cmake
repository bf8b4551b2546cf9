# Shared by the toolchain files in this folder: Debian's cross compilers, the target's libraries from
# scripts/make-sysroot, and QEMU to run programs. Needs TIED_TRIPLE, TIED_DEBIAN_ARCH and TIED_QEMU.
set(CMAKE_SYSTEM_NAME Linux)
if(TIED_CLANG)
  set(CMAKE_C_COMPILER clang)
  set(CMAKE_CXX_COMPILER clang++)
else()
  set(CMAKE_C_COMPILER ${TIED_TRIPLE}-gcc)
  set(CMAKE_CXX_COMPILER ${TIED_TRIPLE}-g++)
endif()
set(CMAKE_LIBRARY_ARCHITECTURE ${TIED_TRIPLE})

# The compiler brings its C library; the sysroot contains only tied's dependencies.
set(TIED_SYSROOT "${CMAKE_CURRENT_LIST_DIR}/../../build/sysroot/${TIED_DEBIAN_ARCH}" CACHE PATH
    "Where scripts/make-sysroot has put the target's libraries")
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TIED_SYSROOT)
set(CMAKE_FIND_ROOT_PATH "${TIED_SYSROOT}" "/usr/${TIED_TRIPLE}")
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)
# For the dependencies of shared libraries.
set(TIED_SYSROOT_LIBRARIES "${TIED_SYSROOT}/usr/lib/${TIED_TRIPLE}:${TIED_SYSROOT}/lib/${TIED_TRIPLE}")
set(CMAKE_EXE_LINKER_FLAGS_INIT "-Wl,-rpath-link,${TIED_SYSROOT_LIBRARIES}")
if(TIED_CLANG)
  # -Qunused-arguments: each of these options is for the compiler or for the linker.
  set(llvm "${TIED_SYSROOT}/usr/lib/llvm-14")
  foreach(language IN ITEMS C CXX ASM)
    set(CMAKE_${language}_COMPILER_TARGET ${TIED_TRIPLE})
  endforeach()
  set(CMAKE_CXX_FLAGS_INIT "-Qunused-arguments -stdlib=libc++ -nostdinc++ -isystem ${llvm}/include/c++/v1")
  string(APPEND CMAKE_EXE_LINKER_FLAGS_INIT " -fuse-ld=lld -L${llvm}/lib")
endif()
set(CMAKE_SHARED_LINKER_FLAGS_INIT "${CMAKE_EXE_LINKER_FLAGS_INIT}")

set(CMAKE_CROSSCOMPILING_EMULATOR ${TIED_QEMU} -L "${TIED_SYSROOT}/qemu" -E
                                  LD_LIBRARY_PATH=${TIED_SYSROOT_LIBRARIES})
