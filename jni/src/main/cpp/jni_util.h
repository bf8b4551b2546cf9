// Shared by the glue of all Java classes: turns errors into exceptions and buffers into pointers.
#ifndef TIED_JNI_JNI_UTIL_H_
#define TIED_JNI_JNI_UTIL_H_

#include <jni.h>

#include <cstddef>
#include <memory>
#include <new>

#include "tied/tied.h"

namespace tied::jni {

// Looks up the class and the constructor that Throw() uses. Returns false with an exception pending if they are
// missing.
bool LoadUtil(JNIEnv* env);

// Registers native methods of dev.tied.<class_name>.
bool Register(JNIEnv* env, const char* class_name, const JNINativeMethod* methods, size_t count);

// Throws dev.tied.TiedException.
void Throw(JNIEnv* env, tied_status status, const char* message);

// Returns true if the status is TIED_OK; otherwise throws and returns false.
bool Succeeds(JNIEnv* env, tied_status status, const tied_error& error);

// The bytes of a string from NativeLibrary.text(), valid until ReleaseText(). Null with an exception pending if memory
// runs out, or if the string contains a null character; the message is then `refusal`.
const char* TextOf(JNIEnv* env, jbyteArray bytes, const char* refusal);
void ReleaseText(JNIEnv* env, jbyteArray bytes, const char* text);

jbyteArray NewBytes(JNIEnv* env, const char* text);

// Sets *address to element `position` of a direct buffer whose elements have `size` bytes; to null for a null buffer.
// Returns false with an exception pending if the buffer has no address, or one that is not aligned to an element: a
// view of a byte buffer that begins anywhere.
bool FindAddress(JNIEnv* env, jobject buffer, jint position, size_t size, void** address);

template <class T>
bool Find(JNIEnv* env, jobject buffer, jint position, T** address) {
  void* found = nullptr;
  if (!FindAddress(env, buffer, position, sizeof(T), &found)) return false;
  *address = static_cast<T*>(found);
  return true;
}

inline size_t Size(jint count) { return count < 0 ? 0 : static_cast<size_t>(count); }

// Room for `count` elements, on the stack if they are few. If memory runs out, data() is null and an exception pending.
template <class T>
class Scratch {
 public:
  Scratch(JNIEnv* env, size_t count) {
    if (count <= kFew) {
      data_ = few_;
      return;
    }
    many_.reset(new (std::nothrow) T[count]);
    data_ = many_.get();
    if (data_ == nullptr) Throw(env, TIED_OUT_OF_MEMORY, "no memory for the arguments of a call");
  }
  T* data() { return data_; }

 private:
  static constexpr size_t kFew = 128;
  T few_[kFew];
  std::unique_ptr<T[]> many_;
  T* data_ = nullptr;
};

// Register the native methods of each class, for JNI_OnLoad.
bool RegisterModel(JNIEnv* env);
bool RegisterSession(JNIEnv* env);

}  // namespace tied::jni

#endif  // TIED_JNI_JNI_UTIL_H_
