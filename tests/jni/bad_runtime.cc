// A library that scripts/check-jni-library must refuse: it contains parts of a C++ runtime library.
extern "C" int JNI_OnLoad();
extern "C" __attribute__((visibility("default"))) int JNI_OnLoad() { throw 1; }
