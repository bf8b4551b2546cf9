# What every target of this project has in common.

# Warnings and sanitizers for code of ours; dependencies keep their own flags.
function(tied_target_defaults target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wshadow -Wconversion -Wcast-qual
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
  endif()
endfunction()

# The rules of code that runs on a phone: no exceptions, no RTTI, and no contraction of a * b + c, because results are
# defined to the bit.
function(tied_runtime_defaults target)
  tied_target_defaults(${target})
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti> -ffp-contract=off
                                           -ffunction-sections -fdata-sections)
endfunction()
