# Builds the targets tied_deps::NAME from pinned sources, as static libraries: for Android and TIED_STATIC.
# FETCHCONTENT_SOURCE_DIR_<NAME> (FXDIV, CPUINFO, PTHREADPOOL, XNNPACK, FLATBUFFERS, XXHASH) names a local folder to use
# instead of a download. Sources are pinned by commit because tags can be moved.
include(ExternalProject)
include(FetchContent)
set(FETCHCONTENT_QUIET OFF)

# tied_declare(content repository commit). SOURCE_SUBDIR does not exist, so that FetchContent_MakeAvailable() only gets
# the sources and this file decides what to build.
function(tied_declare content repository commit)
  FetchContent_Declare(${content} GIT_REPOSITORY ${repository} GIT_TAG ${commit} SOURCE_SUBDIR no-such-folder)
endfunction()

tied_declare(fxdiv https://github.com/Maratyszcza/FXdiv.git 63058eff77e11aa15bf531df5dd34395ec3017c8)
tied_declare(cpuinfo https://github.com/pytorch/cpuinfo.git d6108819d1d41c749b076e250be454c4559cb771)
tied_declare(pthreadpool https://github.com/google/pthreadpool.git 0e6ca13779b57d397a5ba6bfdcaa8a275bc8ea2e)
tied_declare(xnnpack https://github.com/google/XNNPACK.git 75db3c093b6d74fe90b8df82670cd8a01102ba38)
tied_declare(flatbuffers https://github.com/google/flatbuffers.git 81edeb17d9118143f2c81caf27edfb0df401279e)
tied_declare(xxhash https://github.com/Cyan4973/xxHash.git b2e9dbb05fb7f45ad662e67969e92c48b9b32247)

# tied_fetch_headers(NAME folder): a header-only dependency, with its headers in `folder`.
function(tied_fetch_headers name folder)
  if(TARGET tied_deps::${name})
    return()
  endif()
  FetchContent_MakeAvailable(${name})
  add_library(tied_deps::${name} INTERFACE IMPORTED GLOBAL)
  set_target_properties(tied_deps::${name} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${${name}_SOURCE_DIR}/${folder}")
endfunction()

# tied_fetch_cmake(NAME target): a dependency that is built with CMake and defines `target`.
function(tied_fetch_cmake name target)
  if(TARGET tied_deps::${name})
    return()
  endif()
  string(TOLOWER ${name} content)
  set(BUILD_SHARED_LIBS OFF)
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW) # their options may be set as variables
  # Lets the linker drop unused sections.
  string(APPEND CMAKE_C_FLAGS " -ffunction-sections -fdata-sections")
  # Nothing of a C++ runtime library may get into libtied_jni.so. XNNPACK neither throws nor uses RTTI, and the
  # functions that tied calls have no constants to initialise at their first call.
  string(APPEND CMAKE_CXX_FLAGS
         " -ffunction-sections -fdata-sections -fno-exceptions -fno-rtti -fno-threadsafe-statics")
  FetchContent_MakeAvailable(${content})
  if(NOT TARGET ${target})
    add_subdirectory("${${content}_SOURCE_DIR}" "${${content}_BINARY_DIR}" EXCLUDE_FROM_ALL)
  endif()
  add_library(tied_deps::${name} ALIAS ${target})
endfunction()

FetchContent_MakeAvailable(fxdiv)
set(FXDIV_SOURCE_DIR "${fxdiv_SOURCE_DIR}")

foreach(part IN ITEMS TOOLS UNIT_TESTS MOCK_TESTS BENCHMARKS PKG_CONFIG)
  set(CPUINFO_BUILD_${part} OFF)
endforeach()
if(NOT TARGET tied_deps::cpuinfo)
  tied_fetch_cmake(cpuinfo cpuinfo)
  tied_optimise_for_size(cpuinfo) # runs once
endif()

set(PTHREADPOOL_BUILD_TESTS OFF)
set(PTHREADPOOL_BUILD_BENCHMARKS OFF)
tied_fetch_cmake(pthreadpool pthreadpool)

if(TIED_XNNPACK)
  foreach(part IN ITEMS BUILD_TESTS BUILD_BENCHMARKS BUILD_YNNPACK ENABLE_KLEIDIAI)
    set(XNNPACK_${part} OFF)
  endforeach()
  # By its name: XNNPACK would find libm.so, which a static executable cannot have.
  set(LIBM m CACHE INTERNAL "")
  FetchContent_GetProperties(cpuinfo)
  FetchContent_GetProperties(pthreadpool)
  set(CPUINFO_SOURCE_DIR "${cpuinfo_SOURCE_DIR}")
  set(PTHREADPOOL_SOURCE_DIR "${pthreadpool_SOURCE_DIR}")
  tied_fetch_cmake(XNNPACK XNNPACK)
  set(TIED_XNNPACK_HAS_RESHAPE ON)
endif()

# Headers and a compiler of the same version. The compiler is built for this machine, also when cross-compiling.
if(NOT TARGET tied_deps::flatbuffers)
  tied_fetch_headers(flatbuffers include)
  FetchContent_MakeAvailable(flatbuffers)
  set(TIED_FLATC "${PROJECT_BINARY_DIR}/flatc/flatc")
  set(TIED_FLATC_TARGET tied_flatc)
  ExternalProject_Add(
    tied_flatc
    SOURCE_DIR "${flatbuffers_SOURCE_DIR}"
    BINARY_DIR "${PROJECT_BINARY_DIR}/flatc"
    CMAKE_ARGS -DCMAKE_BUILD_TYPE=Release -DFLATBUFFERS_BUILD_TESTS=OFF -DFLATBUFFERS_INSTALL=OFF
               -DFLATBUFFERS_BUILD_FLATHASH=OFF
    BUILD_COMMAND "${CMAKE_COMMAND}" --build . --target flatc
    INSTALL_COMMAND ""
    BUILD_BYPRODUCTS "${TIED_FLATC}")
endif()

tied_fetch_headers(xxhash .)
