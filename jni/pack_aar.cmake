# Packs an AAR (https://developer.android.com/studio/projects/android-library#aar-contents) and checks its libraries.
#   cmake -DLIBRARIES=ABI=PATH,… -DVERSION=1.2.3 -DOUTPUT=FILE -DAPI=24 [-DREPOSITORY=FOLDER] [-DNDK=FOLDER]
#         [-DNEEDED=LIBRARY,…] -P pack_aar.cmake
# REPOSITORY: a Maven repository, for the AAR as dev.tied:tied-android with its sources and Javadoc.
# NEEDED: libraries that they may depend on; default: the NDK's stable libraries.
cmake_minimum_required(VERSION 3.22)
set(jni "${CMAKE_CURRENT_LIST_DIR}")
set(stage "${OUTPUT}.parts")
# Commas, because CMake splits lists on the way here.
string(REPLACE "," ";" LIBRARIES "${LIBRARIES}")
string(REPLACE "," ";" NEEDED "${NEEDED}")
file(REMOVE_RECURSE "${stage}" "${OUTPUT}")
file(MAKE_DIRECTORY "${stage}/classes")

function(run)
  execute_process(COMMAND ${ARGV} COMMAND_ERROR_IS_FATAL ANY)
endfunction()

find_program(JAVAC javac REQUIRED)
find_program(JAR jar REQUIRED)
# Annotations that the compiler needs and the AAR does not. Maven may have them already.
set(jspecify org/jspecify/jspecify/1.0.0/jspecify-1.0.0.jar)
set(annotations "$ENV{HOME}/.m2/repository/${jspecify}")
if(NOT EXISTS "${annotations}")
  set(annotations "${OUTPUT}.jspecify.jar")
  file(DOWNLOAD "https://repo.maven.apache.org/maven2/${jspecify}" "${annotations}"
       EXPECTED_HASH SHA256=1fad6e6be7557781e4d33729d49ae1cdc8fdda6fe477bb0cc68ce351eafdfbab)
endif()
file(GLOB sources "${jni}/src/main/java/dev/tied/*.java")
run("${JAVAC}" --release 8 -nowarn -Xlint:-options -classpath "${annotations}" -d "${stage}/classes" ${sources})
run("${JAR}" --create --file "${stage}/classes.jar" -C "${stage}/classes" .)
file(REMOVE_RECURSE "${stage}/classes")
file(COPY "${jni}/aar/AndroidManifest.xml" "${jni}/aar/proguard.txt" "${jni}/../LICENSE" DESTINATION "${stage}")
configure_file("${jni}/aar/aar-metadata.properties.in" "${stage}/META-INF/com/android/build/gradle/aar-metadata.properties")
file(WRITE "${stage}/R.txt" "")

# C and C++ programs use the same library, which exports tied.h.
set(prefab "${stage}/prefab")
file(WRITE "${prefab}/prefab.json" "{\"schema_version\": 2, \"name\": \"tied\", \"version\": \"${VERSION}\", "
                                   "\"dependencies\": []}\n")
set(module "${prefab}/modules/tied_jni")
file(WRITE "${module}/module.json" "{\"export_libraries\": [], \"library_name\": \"libtied_jni\"}\n")
file(COPY "${jni}/../runtime/include/tied" DESTINATION "${module}/include")

if(NDK)
  file(GLOB STRIP "${NDK}/toolchains/llvm/prebuilt/*/bin/llvm-strip")
  file(STRINGS "${NDK}/source.properties" revision REGEX "^Pkg.Revision")
  string(REGEX REPLACE ".*= *([0-9]+).*" "\\1" ndk_major "${revision}")
else()
  set(ndk_major 0)
endif()
foreach(library IN LISTS LIBRARIES)
  string(REGEX MATCH "^([^=]+)=(.+)$" matched "${library}")
  if(NOT matched)
    message(FATAL_ERROR "LIBRARIES contains '${library}'; expected ABI=PATH")
  endif()
  set(abi "${CMAKE_MATCH_1}")
  file(COPY "${CMAKE_MATCH_2}" DESTINATION "${stage}/jni/${abi}")
  set(packed "${stage}/jni/${abi}/libtied_jni.so")
  run("${jni}/../scripts/check-jni-library" "${packed}" ${NEEDED})
  if(STRIP)
    run("${STRIP}" "${packed}")
  endif()
  set(prebuilt "${module}/libs/android.${abi}")
  file(COPY "${packed}" DESTINATION "${prebuilt}")
  file(WRITE "${prebuilt}/abi.json" "{\"abi\": \"${abi}\", \"api\": ${API}, \"ndk\": ${ndk_major}, \"stl\": \"none\", "
                                    "\"static\": false}\n")
  file(SIZE "${packed}" bytes)
  message(STATUS "${abi}: libtied_jni.so has ${bytes} bytes")
endforeach()

file(GLOB parts RELATIVE "${stage}" "${stage}/*")
execute_process(COMMAND "${CMAKE_COMMAND}" -E tar cf "${OUTPUT}" --format=zip ${parts} WORKING_DIRECTORY "${stage}"
                        COMMAND_ERROR_IS_FATAL ANY)
file(REMOVE_RECURSE "${stage}")
message(STATUS "${OUTPUT}")

if(NOT REPOSITORY)
  return()
endif()
set(folder "${REPOSITORY}/dev/tied/tied-android/${VERSION}")
set(artifact "${folder}/tied-android-${VERSION}")
file(REMOVE_RECURSE "${folder}")
file(MAKE_DIRECTORY "${folder}")
configure_file("${OUTPUT}" "${artifact}.aar" COPYONLY)
# The POM shares description, addresses, licence and developers with the jar's.
file(READ "${jni}/pom.xml" pom)
string(REGEX MATCH "  <description>.*</developers>" PUBLICATION "${pom}")
configure_file("${jni}/aar/pom.xml.in" "${artifact}.pom" @ONLY)
run("${JAR}" --create --file "${artifact}-sources.jar" -C "${jni}/src/main/java" .)
find_program(JAVADOC javadoc REQUIRED)
run("${JAVADOC}" -quiet -notimestamp --release 11 -Xdoclint:all,-missing -Werror -classpath "${annotations}" -d
    "${folder}/javadoc" ${sources})
run("${JAR}" --create --file "${artifact}-javadoc.jar" -C "${folder}/javadoc" .)
file(REMOVE_RECURSE "${folder}/javadoc")
foreach(suffix IN ITEMS .aar .pom -sources.jar -javadoc.jar)
  foreach(hash IN ITEMS md5 sha1)
    string(TOUPPER ${hash} algorithm)
    file(${algorithm} "${artifact}${suffix}" sum)
    file(WRITE "${artifact}${suffix}.${hash}" "${sum}")
  endforeach()
endforeach()
message(STATUS "${folder}")
