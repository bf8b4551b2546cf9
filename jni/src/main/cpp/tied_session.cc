// dev.tied.TiedSession. The Java side has checked that buffers are direct, of native byte order and large enough.
#include "jni_util.h"

namespace tied::jni {

namespace {

constexpr char kNoName[] = "a name contains a null character";

tied_session* Session(jlong pointer) { return reinterpret_cast<tied_session*>(static_cast<intptr_t>(pointer)); }

void Close(JNIEnv*, jclass, jlong session) { tied_session_destroy(Session(session)); }
jint Threads(JNIEnv*, jclass, jlong session) { return static_cast<jint>(tied_session_threads(Session(session))); }
void Cancel(JNIEnv*, jclass, jlong session) { tied_session_cancel(Session(session)); }

void EmbedArray(JNIEnv* env, jclass, jlong session, jlongArray ids, jobject embeddings, jint position, jint remaining) {
  const jsize count = env->GetArrayLength(ids);
  Scratch<int64_t> copy(env, Size(count));
  if (copy.data() == nullptr) return;
  env->GetLongArrayRegion(ids, 0, count, reinterpret_cast<jlong*>(copy.data()));
  float* found = nullptr;
  if (!Find(env, embeddings, position, &found)) return;
  tied_error error;
  Succeeds(env, tied_embed(Session(session), copy.data(), Size(count), found, Size(remaining), &error), error);
}

void Embed(JNIEnv* env, jclass, jlong session, jobject ids, jint ids_position, jint count, jobject embeddings,
           jint position, jint remaining) {
  int64_t* found_ids = nullptr;
  float* found = nullptr;
  if (!Find(env, ids, ids_position, &found_ids) || !Find(env, embeddings, position, &found)) return;
  tied_error error;
  Succeeds(env, tied_embed(Session(session), found_ids, Size(count), found, Size(remaining), &error), error);
}

void Logits(JNIEnv* env, jclass, jlong session, jobject hidden, jint hidden_position, jint tokens, jobject logits,
            jint position, jint remaining) {
  float *found_hidden = nullptr, *found = nullptr;
  if (!Find(env, hidden, hidden_position, &found_hidden) || !Find(env, logits, position, &found)) return;
  tied_error error;
  Succeeds(env, tied_logits(Session(session), found_hidden, Size(tokens), found, Size(remaining), &error), error);
}

jlong Argmax(JNIEnv* env, jclass, jlong session, jobject hidden, jint position) {
  int64_t id = -1;
  float* found = nullptr;
  if (!Find(env, hidden, position, &found)) return id;
  tied_error error;
  Succeeds(env, tied_argmax(Session(session), found, 1, &id, nullptr, &error), error);
  return id;
}

void TopK(JNIEnv* env, jclass, jlong session, jobject hidden, jint position, jint tokens, jint k, jobject allowed,
          jint allowed_position, jint allowed_remaining, jboolean use_screen, jdouble log_z_tolerance, jlongArray ids,
          jfloatArray logits, jdoubleArray log_z) {
  const size_t count = Size(tokens) * Size(k);
  Scratch<int64_t> found_ids(env, count);
  Scratch<float> found_logits(env, logits == nullptr ? 0 : count);
  Scratch<double> found_log_z(env, log_z == nullptr ? 0 : Size(tokens));
  if (found_ids.data() == nullptr || found_logits.data() == nullptr || found_log_z.data() == nullptr) return;
  float* found_hidden = nullptr;
  uint8_t* found_allowed = nullptr;
  if (!Find(env, hidden, position, &found_hidden) || !Find(env, allowed, allowed_position, &found_allowed)) return;
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  options.allowed = found_allowed;
  options.allowed_bytes = Size(allowed_remaining);
  options.use_screen = use_screen;
  options.log_z_tolerance = log_z_tolerance;
  tied_topk_result result = {};
  result.ids = found_ids.data();
  result.logits = logits == nullptr ? nullptr : found_logits.data();
  result.log_z = log_z == nullptr ? nullptr : found_log_z.data();
  tied_error error;
  const tied_status status =
      tied_topk_with(Session(session), found_hidden, Size(tokens), Size(k), &options, &result, &error);
  if (!Succeeds(env, status, error)) return;
  const auto written = static_cast<jsize>(count);
  env->SetLongArrayRegion(ids, 0, written, reinterpret_cast<const jlong*>(found_ids.data()));
  if (logits != nullptr) env->SetFloatArrayRegion(logits, 0, written, found_logits.data());
  if (log_z != nullptr) env->SetDoubleArrayRegion(log_z, 0, tokens, found_log_z.data());
}

// Converts Java's arrays to tensors. The destructor releases the names.
class Tensors {
 public:
  Tensors(JNIEnv* env, jobjectArray names, jobjectArray buffers, jintArray positions, jintArray remaining,
          jintArray types, jobjectArray shapes)
      : env_(env),
        names_(names),
        types_(types),
        shapes_(shapes),
        count_(env->GetArrayLength(names)),
        texts_(env, Size(count_)),
        tensors_(env, Size(count_)) {
    // Each name stays referenced; a VM promises room for 16 references.
    if (env_->EnsureLocalCapacity(count_ + kOtherReferences) != JNI_OK) return;
    for (; made_ < count_ && data() != nullptr && texts_.data() != nullptr; ++made_) {
      if (!Fill(made_, buffers, At(positions, made_), At(remaining, made_))) return;
    }
  }
  Tensors(const Tensors&) = delete;
  Tensors& operator=(const Tensors&) = delete;
  ~Tensors() {
    // Both calls are allowed while an exception is pending.
    for (jsize i = 0; i < made_; ++i) {
      ReleaseText(env_, texts_.data()[i], data()[i].name);
      env_->DeleteLocalRef(texts_.data()[i]);
    }
  }

  bool ok() const { return made_ == count_ && !env_->ExceptionCheck(); }
  tied_tensor* data() { return tensors_.data(); }
  size_t size() const { return Size(count_); }

  // Copies types and shapes back to the Java arrays.
  void Describe() {
    for (jsize i = 0; i < count_; ++i) {
      const tied_tensor& tensor = data()[i];
      const jint type = tensor.type;
      env_->SetIntArrayRegion(types_, i, 1, &type);
      const auto rank = static_cast<jsize>(tensor.rank);
      jlongArray shape = env_->NewLongArray(rank);
      if (shape == nullptr) return;
      env_->SetLongArrayRegion(shape, 0, rank, reinterpret_cast<const jlong*>(tensor.dims));
      env_->SetObjectArrayElement(shapes_, i, shape);
      env_->DeleteLocalRef(shape);
    }
  }

 private:
  jint At(jintArray array, jsize i) {
    jint value = 0;
    env_->GetIntArrayRegion(array, i, 1, &value);
    return value;
  }

  static size_t ElementSize(tied_type type) { return type == TIED_INT64 ? 8 : type == TIED_BOOL ? 1 : 4; }

  bool Fill(jsize i, jobjectArray buffers, jint position, jint remaining) {
    tied_tensor& tensor = data()[i];
    tensor = {};
    auto name = static_cast<jbyteArray>(env_->GetObjectArrayElement(names_, i));
    if (name == nullptr) {
      Throw(env_, TIED_INVALID_ARGUMENT, "a tensor has no name");
      return false;
    }
    tensor.type = At(types_, i);
    if (!FillShape(i, &tensor)) return false;
    jobject buffer = env_->GetObjectArrayElement(buffers, i);
    if (buffer != nullptr) {
      const size_t size = ElementSize(tensor.type);
      const bool found = FindAddress(env_, buffer, position, size, &tensor.data);
      tensor.bytes = Size(remaining) * size;
      env_->DeleteLocalRef(buffer);
      if (!found) return false;
    }
    tensor.name = TextOf(env_, name, kNoName);
    texts_.data()[i] = name;
    return tensor.name != nullptr;
  }

  bool FillShape(jsize i, tied_tensor* tensor) {
    auto shape = static_cast<jlongArray>(env_->GetObjectArrayElement(shapes_, i));
    if (shape == nullptr) return true;
    const jsize rank = env_->GetArrayLength(shape);
    if (rank > TIED_MAX_RANK) {
      Throw(env_, TIED_INVALID_ARGUMENT, "a tensor has more than 8 dimensions");
      return false;
    }
    tensor->rank = Size(rank);
    env_->GetLongArrayRegion(shape, 0, rank, reinterpret_cast<jlong*>(tensor->dims));
    env_->DeleteLocalRef(shape);
    return true;
  }

  static constexpr jint kOtherReferences = 16;

  JNIEnv* const env_;
  const jobjectArray names_;
  const jintArray types_;
  const jobjectArray shapes_;
  const jsize count_;
  Scratch<jbyteArray> texts_;
  Scratch<tied_tensor> tensors_;
  jsize made_ = 0;
};

void Run(JNIEnv* env, jclass, jlong session, jbyteArray entry_point, jobjectArray input_names, jobjectArray inputs,
         jintArray input_positions, jintArray input_remaining, jintArray input_types, jobjectArray input_shapes,
         jobjectArray output_names, jobjectArray outputs, jintArray output_positions, jintArray output_remaining,
         jintArray output_types, jobjectArray output_shapes) {
  Tensors in(env, input_names, inputs, input_positions, input_remaining, input_types, input_shapes);
  if (!in.ok()) return;
  Tensors out(env, output_names, outputs, output_positions, output_remaining, output_types, output_shapes);
  if (!out.ok()) return;
  const char* name = entry_point == nullptr ? nullptr : TextOf(env, entry_point, kNoName);
  if (entry_point != nullptr && name == nullptr) return;
  tied_error error;
  const tied_status status = tied_run(Session(session), name, in.data(), in.size(), out.data(), out.size(), &error);
  ReleaseText(env, entry_point, name);
  if (Succeeds(env, status, error)) out.Describe();
}

}  // namespace

bool RegisterSession(JNIEnv* env) {
#define FLOATS "Ljava/nio/FloatBuffer;"
#define TENSORS "[[B[Ljava/nio/Buffer;[I[I[I[[J"
  static const JNINativeMethod kMethods[] = {
      {const_cast<char*>("nativeClose"), const_cast<char*>("(J)V"), reinterpret_cast<void*>(Close)},
      {const_cast<char*>("nativeThreads"), const_cast<char*>("(J)I"), reinterpret_cast<void*>(Threads)},
      {const_cast<char*>("nativeCancel"), const_cast<char*>("(J)V"), reinterpret_cast<void*>(Cancel)},
      {const_cast<char*>("nativeEmbedArray"), const_cast<char*>("(J[J" FLOATS "II)V"),
       reinterpret_cast<void*>(EmbedArray)},
      {const_cast<char*>("nativeEmbed"), const_cast<char*>("(JLjava/nio/LongBuffer;II" FLOATS "II)V"),
       reinterpret_cast<void*>(Embed)},
      {const_cast<char*>("nativeLogits"), const_cast<char*>("(J" FLOATS "II" FLOATS "II)V"),
       reinterpret_cast<void*>(Logits)},
      {const_cast<char*>("nativeArgmax"), const_cast<char*>("(J" FLOATS "I)J"), reinterpret_cast<void*>(Argmax)},
      {const_cast<char*>("nativeTopK"), const_cast<char*>("(J" FLOATS "IIILjava/nio/ByteBuffer;IIZD[J[F[D)V"),
       reinterpret_cast<void*>(TopK)},
      {const_cast<char*>("nativeRun"), const_cast<char*>("(J[B" TENSORS TENSORS ")V"), reinterpret_cast<void*>(Run)},
  };
#undef FLOATS
#undef TENSORS
  return Register(env, "dev/tied/TiedSession", kMethods, sizeof kMethods / sizeof *kMethods);
}

}  // namespace tied::jni
