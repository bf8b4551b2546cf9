# What every target of this project has in common.

# Under a name that changes with it: neither Ninja nor ccache knows that objects depend on it.
set(ignorelist "${CMAKE_CURRENT_LIST_DIR}/sanitizer-ignorelist.txt")
file(SHA256 "${ignorelist}" hash)
set(TIED_SANITIZER_IGNORELIST "${PROJECT_BINARY_DIR}/sanitizer-ignorelist-${hash}.txt")
configure_file("${ignorelist}" "${TIED_SANITIZER_IGNORELIST}" COPYONLY)

# Warnings and sanitizers for code of ours; dependencies keep their own flags.
function(tied_target_defaults target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wcast-qual -Wundef -Wformat=2
                                           -Wimplicit-fallthrough
                                           $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor -Wold-style-cast>)
  # Files above 2 GB on 32-bit systems.
  target_compile_definitions(${target} PRIVATE _FILE_OFFSET_BITS=64)
  if(TIED_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(TIED_SANITIZE)
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

# tied_precompile(target header…): large headers of others, once for all files of a target. ccache, where it is used,
# saves more, and does not keep what was compiled with them.
function(tied_precompile target)
  if(NOT CMAKE_CXX_COMPILER_LAUNCHER)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
endfunction()

# tied_not_hot(target): code that takes longer to compile than it ever runs.
function(tied_not_hot target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O1>)
endfunction()

# tied_optimise_for_size(target): code whose speed nobody notices, in what a program ships.
function(tied_optimise_for_size target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-Os>)
endfunction()

# The rules of code that runs on a phone: no exceptions, no RTTI, and no contraction of a * b + c, because results are
# defined to the bit.
function(tied_runtime_defaults target)
  tied_target_defaults(${target})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti> -ffp-contract=off
                                           -ffunction-sections -fdata-sections)
endfunction()
