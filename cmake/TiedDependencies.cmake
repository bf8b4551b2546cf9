# Defines a target tied_deps::NAME for each dependency, unless the parent project has already defined it. It comes from
# the system's package, or from pinned sources (TIED_FETCH_DEPENDENCIES).

# tied_find_dependency(NAME header library): uses header directory and library of the system.
function(tied_find_dependency name header library)
  if(TARGET tied_deps::${name})
    return()
  endif()
  find_path(TIED_${name}_INCLUDE_DIR ${header})
  find_library(TIED_${name}_LIBRARY ${library})
  mark_as_advanced(TIED_${name}_INCLUDE_DIR TIED_${name}_LIBRARY)
  if(NOT TIED_${name}_INCLUDE_DIR OR NOT TIED_${name}_LIBRARY)
    message(FATAL_ERROR "tied needs ${name} (${header}, lib${library}); scripts/install-deps installs it on Debian")
  endif()
  add_library(tied_deps::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(
    tied_deps::${name} PROPERTIES IMPORTED_LOCATION "${TIED_${name}_LIBRARY}" INTERFACE_INCLUDE_DIRECTORIES
                                                                              "${TIED_${name}_INCLUDE_DIR}")
endfunction()

# tied_find_headers(NAME header): the same for a header-only dependency.
function(tied_find_headers name header)
  if(TARGET tied_deps::${name})
    return()
  endif()
  find_path(TIED_${name}_INCLUDE_DIR ${header})
  mark_as_advanced(TIED_${name}_INCLUDE_DIR)
  if(NOT TIED_${name}_INCLUDE_DIR)
    message(FATAL_ERROR "tied needs ${name} (${header}); scripts/install-deps installs it on Debian")
  endif()
  add_library(tied_deps::${name} INTERFACE IMPORTED GLOBAL)
  set_target_properties(tied_deps::${name} PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${TIED_${name}_INCLUDE_DIR}")
endfunction()

find_package(Threads REQUIRED)
if(TIED_SANITIZE MATCHES "thread")
  add_subdirectory("${PROJECT_SOURCE_DIR}/tests/tsan" tsan)
endif()
if(TIED_FETCH_DEPENDENCIES)
  include(TiedFetchDependencies)
endif()
tied_find_dependency(cpuinfo cpuinfo.h cpuinfo)
tied_find_dependency(pthreadpool pthreadpool.h pthreadpool)
tied_find_headers(flatbuffers flatbuffers/flatbuffers.h)
tied_find_headers(xxhash xxhash.h)
if(NOT TIED_FLATC)
  find_program(TIED_FLATC flatc REQUIRED)
endif()

if(TIED_XNNPACK)
  tied_find_dependency(XNNPACK xnnpack.h XNNPACK)
  # Since 2023, XNNPACK's setup is split into reshape and setup, and its create takes a weights cache.
  if(NOT TIED_FETCH_DEPENDENCIES)
    include(CheckSymbolExists)
    set(CMAKE_REQUIRED_LIBRARIES tied_deps::XNNPACK)
    if(NOT TARGET tied_tsan_pool) # the check below cannot link it; a shared XNNPACK brings pthreadpool
      list(APPEND CMAKE_REQUIRED_LIBRARIES tied_deps::pthreadpool)
    endif()
    check_symbol_exists(xnn_reshape_fully_connected_nc_f32 xnnpack.h TIED_XNNPACK_HAS_RESHAPE)
    unset(CMAKE_REQUIRED_LIBRARIES)
  endif()
endif()

if(TIED_BUILD_CONVERTER)
  find_package(Protobuf REQUIRED)
  tied_find_dependency(onnx_proto onnx/onnx_pb.h onnx_proto)
  set_property(TARGET tied_deps::onnx_proto APPEND PROPERTY INTERFACE_LINK_LIBRARIES protobuf::libprotobuf)
  set_property(TARGET tied_deps::onnx_proto APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS ONNX_ML=1
                                                            ONNX_NAMESPACE=onnx)
endif()
if(TIED_BUILD_CONVERTER OR TIED_BUILD_CLI)
  tied_find_headers(CLI11 CLI/CLI.hpp)
  tied_find_headers(nlohmann_json nlohmann/json.hpp)
endif()
