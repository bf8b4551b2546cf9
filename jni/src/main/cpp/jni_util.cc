#include "jni_util.h"

#include <cstdint>
#include <cstring>

namespace tied::jni {

namespace {

jclass exception_class;  // a global reference
jmethodID exception_constructor;

}  // namespace

bool LoadUtil(JNIEnv* env) {
  jclass found = env->FindClass("dev/tied/TiedException");
  if (found == nullptr) return false;
  exception_class = static_cast<jclass>(env->NewGlobalRef(found));
  exception_constructor = env->GetMethodID(found, "<init>", "(I[B)V");
  env->DeleteLocalRef(found);
  return exception_class != nullptr && exception_constructor != nullptr;
}

bool Register(JNIEnv* env, const char* class_name, const JNINativeMethod* methods, size_t count) {
  jclass found = env->FindClass(class_name);
  if (found == nullptr) return false;
  const bool registered = env->RegisterNatives(found, methods, static_cast<jint>(count)) == JNI_OK;
  env->DeleteLocalRef(found);
  return registered;
}

void Throw(JNIEnv* env, tied_status status, const char* message) {
  jbyteArray bytes = NewBytes(env, message);
  if (bytes == nullptr) return;  // OutOfMemoryError is pending
  jobject exception = env->NewObject(exception_class, exception_constructor, static_cast<jint>(status), bytes);
  if (exception != nullptr) env->Throw(static_cast<jthrowable>(exception));
}

bool Succeeds(JNIEnv* env, tied_status status, const tied_error& error) {
  if (status != TIED_OK) Throw(env, status, error.message);
  return status == TIED_OK;
}

const char* TextOf(JNIEnv* env, jbyteArray bytes, const char* refusal) {
  jbyte* elements = env->GetByteArrayElements(bytes, nullptr);
  if (elements == nullptr) return nullptr;
  const auto* text = reinterpret_cast<const char*>(elements);
  if (std::strlen(text) + 1 == Size(env->GetArrayLength(bytes))) return text;
  env->ReleaseByteArrayElements(bytes, elements, JNI_ABORT);
  Throw(env, TIED_INVALID_ARGUMENT, refusal);
  return nullptr;
}

void ReleaseText(JNIEnv* env, jbyteArray bytes, const char* text) {
  if (text == nullptr) return;
  env->ReleaseByteArrayElements(bytes, reinterpret_cast<jbyte*>(const_cast<char*>(text)), JNI_ABORT);
}

jbyteArray NewBytes(JNIEnv* env, const char* text) {
  const auto length = static_cast<jsize>(std::strlen(text));
  jbyteArray bytes = env->NewByteArray(length);
  if (bytes != nullptr) env->SetByteArrayRegion(bytes, 0, length, reinterpret_cast<const jbyte*>(text));
  return bytes;
}

bool FindAddress(JNIEnv* env, jobject buffer, jint position, size_t size, void** address) {
  *address = nullptr;
  if (buffer == nullptr) return true;
  auto* first = static_cast<char*>(env->GetDirectBufferAddress(buffer));
  if (first == nullptr) {
    if (env->GetDirectBufferCapacity(buffer) == 0) return true;
    Throw(env, TIED_INVALID_ARGUMENT, "a buffer has no address; is it direct?");
    return false;
  }
  if (reinterpret_cast<uintptr_t>(first) % size != 0) {
    Throw(env, TIED_INVALID_ARGUMENT, "a buffer is not aligned to its elements: its byte buffer begins in between");
    return false;
  }
  *address = first + Size(position) * size;
  return true;
}

}  // namespace tied::jni

extern "C" JNIEXPORT jint JNI_OnLoad(JavaVM* vm, void*) {
  JNIEnv* env = nullptr;
  if (vm->GetEnv(reinterpret_cast<void**>(&env), JNI_VERSION_1_6) != JNI_OK) return JNI_ERR;
  const bool loaded = tied::jni::LoadUtil(env) && tied::jni::RegisterModel(env) && tied::jni::RegisterSession(env);
  return loaded ? JNI_VERSION_1_6 : JNI_ERR;
}
