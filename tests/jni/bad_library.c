/* A library that scripts/check-jni-library must refuse because of its link options. */
int JNI_OnLoad(void);
int other_symbol(void);
__attribute__((visibility("default"))) int JNI_OnLoad(void) { return 0; }
__attribute__((visibility("default"))) int other_symbol(void) { return 0; }
