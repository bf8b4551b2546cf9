// Shared by the glue of all Java classes: turns errors into exceptions and buffers into pointers.
#ifndef TIED_JNI_JNI_UTIL_H_
#define TIED_JNI_JNI_UTIL_H_

#include <jni.h>

#include <cstddef>
#include <cstdint>
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

// Numbers that Java has in a direct buffer or, where `array` is not null, in an array, which is copied: JNI's other way
// to reach it would stop the garbage collector. data() is null if there are none.
template <class T, class Array>
class Numbers {
 public:
  // `count` numbers from `position` of either. Unless ok(), an exception is pending.
  Numbers(JNIEnv* env, jobject buffer, Array array, jint position, size_t count)
      : env_(env), array_(array), position_(position), count_(count), copy_(env, array == nullptr ? 0 : count) {
    if (array == nullptr) {
      ok_ = Find(env, buffer, position, &data_);
    } else {
      data_ = copy_.data();
      ok_ = data_ != nullptr;
    }
  }

  bool ok() const { return ok_; }
  T* data() { return data_; }

  // Copy from and to the array, if there is one.
  void Read() {
    if (array_ != nullptr) Get(array_);
  }
  void Write() {
    if (array_ != nullptr) Set(array_);
  }

 private:
  void Get(jfloatArray array) { env_->GetFloatArrayRegion(array, position_, static_cast<jsize>(count_), data_); }
  void Set(jfloatArray array) { env_->SetFloatArrayRegion(array, position_, static_cast<jsize>(count_), data_); }
  void Get(jintArray array) { env_->GetIntArrayRegion(array, position_, static_cast<jsize>(count_), data_); }
  void Set(jintArray array) { env_->SetIntArrayRegion(array, position_, static_cast<jsize>(count_), data_); }

  JNIEnv* const env_;
  const Array array_;
  const jint position_;
  const size_t count_;
  Scratch<T> copy_;
  T* data_ = nullptr;
  bool ok_ = false;
};

using Floats = Numbers<jfloat, jfloatArray>;
using Ints = Numbers<jint, jintArray>;

// Register the native methods of each class, for JNI_OnLoad.
bool RegisterModel(JNIEnv* env);
bool RegisterSession(JNIEnv* env);

}  // namespace tied::jni

#endif  // TIED_JNI_JNI_UTIL_H_
