# The target tied_aar: tied-VERSION.aar with the Java classes, one libtied_jni.so for each ABI, and the C and C++ headers
# for prefab. Configure it on the development machine, which needs a JDK:
#   cmake -S . -B build/android -DTIED_ANDROID_NDK=$ANDROID_HOME/ndk/28.2.13676358
#   cmake --build build/android --target tied_aar
include(ExternalProject)
set(TIED_ANDROID_ABIS arm64-v8a CACHE STRING "ABIs in the AAR: arm64-v8a, armeabi-v7a, x86_64")
set(TIED_ANDROID_API 24)

set(libraries "")
set(android_builds "")
# Pass on the dependency folders that were given for this build.
get_cmake_property(cached CACHE_VARIABLES)
list(FILTER cached INCLUDE REGEX "^FETCHCONTENT_SOURCE_DIR_")
set(folders "")
foreach(variable IN LISTS cached)
  list(APPEND folders "-D${variable}=${${variable}}")
endforeach()
foreach(abi IN LISTS TIED_ANDROID_ABIS)
  set(binary_dir "${PROJECT_BINARY_DIR}/android/${abi}")
  ExternalProject_Add(
    tied_android_${abi}
    SOURCE_DIR "${PROJECT_SOURCE_DIR}"
    BINARY_DIR "${binary_dir}"
    CMAKE_ARGS "-DCMAKE_TOOLCHAIN_FILE=${TIED_ANDROID_NDK}/build/cmake/android.toolchain.cmake"
               -DANDROID_ABI=${abi}
               -DANDROID_PLATFORM=android-${TIED_ANDROID_API}
               -DCMAKE_BUILD_TYPE=Release
               -DTIED_XNNPACK=${TIED_XNNPACK}
               -DTIED_BUILD_CONVERTER=OFF
               -DTIED_BUILD_CLI=OFF
               -DTIED_BUILD_EXAMPLES=OFF
               -DTIED_BUILD_TESTS=OFF
               ${folders}
    BUILD_COMMAND "${CMAKE_COMMAND}" --build . --target tied_jni
    INSTALL_COMMAND ""
    BUILD_ALWAYS ON
    EXCLUDE_FROM_ALL ON)
  list(APPEND android_builds tied_android_${abi})
  list(APPEND libraries "${abi}=${binary_dir}/jni/libtied_jni.so")
endforeach()

list(JOIN libraries "," libraries)
add_custom_target(
  tied_aar
  COMMAND "${CMAKE_COMMAND}" "-DLIBRARIES=${libraries}" "-DNDK=${TIED_ANDROID_NDK}" -DAPI=${TIED_ANDROID_API}
          -DVERSION=${PROJECT_VERSION} "-DOUTPUT=${PROJECT_BINARY_DIR}/tied-${PROJECT_VERSION}.aar"
          "-DREPOSITORY=${PROJECT_BINARY_DIR}/repository" -P
          "${CMAKE_CURRENT_LIST_DIR}/pack_aar.cmake"
  DEPENDS ${android_builds}
  VERBATIM)
