# Makes a target tied_deps::NAME for each dependency. A target that the parent project has already made is used as it
# is; otherwise the system's package is looked up, or pinned sources are fetched (TIED_FETCH_DEPENDENCIES).

# tied_find_dependency(NAME header library): header directory and library from the system.
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

# The same for a library that is used through its headers alone.
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
  # Since 2023 XNNPACK has reshape and setup as two calls, and a weights cache in create.
  if(NOT TIED_FETCH_DEPENDENCIES)
    include(CheckSymbolExists)
    set(CMAKE_REQUIRED_LIBRARIES tied_deps::XNNPACK)
    if(NOT TARGET tied_tsan_pool) # which a test build does not have; a shared XNNPACK brings pthreadpool
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
