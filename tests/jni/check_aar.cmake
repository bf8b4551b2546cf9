# Fails unless AAR contains the files that an Android build looks for.
execute_process(COMMAND "${CMAKE_COMMAND}" -E tar tf "${AAR}" OUTPUT_VARIABLE listing COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" listing "${listing}")
cmake_minimum_required(VERSION 3.22)
set(module prefab/modules/tied_jni)
foreach(part IN ITEMS AndroidManifest.xml classes.jar R.txt LICENSE
                      META-INF/com/android/build/gradle/aar-metadata.properties proguard.txt jni/x86_64/libtied_jni.so prefab/prefab.json
                      ${module}/module.json ${module}/include/tied/tied.h ${module}/libs/android.x86_64/libtied_jni.so
                      ${module}/libs/android.x86_64/abi.json)
  if(NOT part IN_LIST listing)
    message(SEND_ERROR "${AAR} has no ${part}")
  endif()
endforeach()
