# Installs the files for find_package(tied) and pkg-config.
include(CMakePackageConfigHelpers)
set(TIED_CONFIG_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/tied")

# Programs that link a static libtied also have to link its dependencies.
set(TIED_STATIC_DEPENDENCIES pthreadpool cpuinfo)
if(TIED_XNNPACK)
  list(PREPEND TIED_STATIC_DEPENDENCIES XNNPACK)
endif()
list(TRANSFORM TIED_STATIC_DEPENDENCIES PREPEND "-l" OUTPUT_VARIABLE TIED_LIBRARIES_PRIVATE)
list(JOIN TIED_LIBRARIES_PRIVATE " " TIED_LIBRARIES_PRIVATE)
if(TIED_SHARED)
  set(TIED_PC_LIBS "-ltied")
  set(TIED_PC_CFLAGS "")
else()
  set(TIED_PC_LIBS "-ltied ${TIED_LIBRARIES_PRIVATE} -lstdc++ -lpthread -lm")
  set(TIED_PC_CFLAGS "-DTIED_STATIC_LIBRARY")
endif()

# Relative, so that the installed tree can be moved.
file(RELATIVE_PATH TIED_PC_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/tied-config.cmake.in" "${PROJECT_BINARY_DIR}/tied-config.cmake"
                              INSTALL_DESTINATION "${TIED_CONFIG_DIR}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/tied-config-version.cmake" COMPATIBILITY SameMinorVersion)
configure_file("${CMAKE_CURRENT_LIST_DIR}/tied.pc.in" "${PROJECT_BINARY_DIR}/tied.pc" @ONLY)

install(EXPORT tied-targets NAMESPACE tied:: DESTINATION "${TIED_CONFIG_DIR}")
install(FILES "${PROJECT_BINARY_DIR}/tied-config.cmake" "${PROJECT_BINARY_DIR}/tied-config-version.cmake"
        DESTINATION "${TIED_CONFIG_DIR}")
install(FILES "${PROJECT_BINARY_DIR}/tied.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
