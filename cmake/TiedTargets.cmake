# Compiler options shared by the targets of this project.

# The copy's name contains its hash: neither Ninja nor ccache knows that objects depend on this file.
set(ignorelist "${CMAKE_CURRENT_LIST_DIR}/sanitizer-ignorelist.txt")
file(SHA256 "${ignorelist}" hash)
set(TIED_SANITIZER_IGNORELIST "${PROJECT_BINARY_DIR}/sanitizer-ignorelist-${hash}.txt")
configure_file("${ignorelist}" "${TIED_SANITIZER_IGNORELIST}" COPYONLY)

# Warnings and sanitizers for this project's code; dependencies keep their flags.
function(tied_target_defaults target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Wundef -Wformat=2
                                           -Wimplicit-fallthrough
                                           $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Wold-style-cast>)
  # Files above 2 GB on 32-bit systems.
  target_compile_definitions(${target} PRIVATE _FILE_OFFSET_BITS=64)
  if(TIED_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(TIED_SANITIZE AND NOT target IN_LIST TIED_NOT_SANITIZED)
    target_compile_options(${target} PRIVATE -fsanitize=${TIED_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${TIED_SANITIZE})
    if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
      target_compile_options(${target} PRIVATE "-fsanitize-ignorelist=${TIED_SANITIZER_IGNORELIST}")
    endif()
  endif()
  if(TIED_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# tied_precompile(target header…): precompiles large third-party headers. Not with ccache, which saves more time and
# does not cache files that use precompiled headers.
function(tied_precompile target)
  if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()

# tied_not_hot(target): for code that takes longer to compile than to run.
function(tied_not_hot target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O1>)
endfunction()

# tied_cold(target): for code that hardly takes time to run. Clang spends most of its time on optimising the checks of
# sanitizers.
function(tied_cold target)
  if(TIED_SANITIZE AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O0>)
  else()
    tied_not_hot(${target})
  endif()
endfunction()

# tied_optimise_for_size(target): for shipped code whose speed does not matter. Clang's -Oz is 15 KB smaller than its
# -Os in libtied_jni.so.
function(tied_optimise_for_size target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:$<IF:$<C_COMPILER_ID:Clang>,-Oz,-Os>>)
endfunction()

# Options for code in libtied: no exceptions, no RTTI, and no contraction of a * b + c, because every bit of a result is
# defined. Square roots need not set errno, which would keep loops from being vectorised.
function(tied_runtime_defaults target)
  tied_target_defaults(${target})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti> -ffp-contract=off
                                           -fno-math-errno
                                           -ffunction-sections -fdata-sections)
  # Clang's -O3 unrolls loops that are unrolled as far as they should be: 25 KB of libtied_jni.so.
  if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
    target_compile_options(${target} BEFORE PRIVATE $<$<CONFIG:Release>:-O2>) # before -Oz
  endif()
endfunction()
