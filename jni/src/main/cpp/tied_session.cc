// dev.tied.TiedSession. The Java side has checked that buffers are direct, of native byte order and large enough.
#include "jni_util.h"

namespace tied::jni {

namespace {

constexpr char kNoName[] = "a name contains a null character";

tied_session* Session(jlong pointer) { return reinterpret_cast<tied_session*>(static_cast<intptr_t>(pointer)); }

void Close(JNIEnv*, jclass, jlong session) { tied_session_destroy(Session(session)); }
jint Threads(JNIEnv*, jclass, jlong session) { return static_cast<jint>(tied_session_threads(Session(session))); }
void Cancel(JNIEnv*, jclass, jlong session) { tied_session_cancel(Session(session)); }

// Token ids of a call in tied.h's type. Java has them as longs or ints, in an array or in a direct buffer.
class TokenIds {
 public:
  TokenIds(JNIEnv* env, size_t count) : env_(env), count_(count), copy_(env, count) {}

  // Null with an exception pending if they cannot be read.
  const int64_t* Read(jobject buffer, bool buffer_of_ints, jlongArray longs, jintArray ints, jint position) {
    if (copy_.data() == nullptr) return nullptr;
    if (longs != nullptr) {
      env_->GetLongArrayRegion(longs, position, static_cast<jsize>(count_), reinterpret_cast<jlong*>(copy_.data()));
      return copy_.data();
    }
    if (ints == nullptr && !buffer_of_ints) {
      int64_t* found = nullptr;
      if (!Find(env_, buffer, position, &found)) return nullptr;
      return found == nullptr ? copy_.data() : found;
    }
    Ints narrow(env_, buffer, ints, position, count_);
    if (!narrow.ok()) return nullptr;
    narrow.Read();
    for (size_t i = 0; i < count_; ++i) copy_.data()[i] = narrow.data()[i];
    return copy_.data();
  }

  // For ids that the call writes, before Write(). Null with an exception pending if memory has run out.
  int64_t* data() { return copy_.data(); }

  void Write(jobject buffer, jlongArray longs, jintArray ints, jint position) {
    if (longs != nullptr) {
      const auto* from = reinterpret_cast<const jlong*>(copy_.data());
      env_->SetLongArrayRegion(longs, position, static_cast<jsize>(count_), from);
      return;
    }
    Ints narrow(env_, buffer, ints, position, count_);
    if (!narrow.ok()) return;
    for (size_t i = 0; i < count_; ++i) narrow.data()[i] = static_cast<jint>(copy_.data()[i]);
    narrow.Write();
  }

 private:
  JNIEnv* const env_;
  const size_t count_;
  Scratch<int64_t> copy_;
};

void Embed(JNIEnv* env, jclass, jlong session, jobject id_buffer, jboolean buffer_of_ints, jlongArray longs,
           jintArray ints, jint ids_position, jint count, jobject embeddings, jfloatArray array, jint position,
           jint floats) {
  TokenIds ids(env, Size(count));
  const int64_t* found_ids = ids.Read(id_buffer, buffer_of_ints, longs, ints, ids_position);
  if (found_ids == nullptr) return;
  Floats found(env, embeddings, array, position, Size(floats));
  if (!found.ok()) return;
  tied_error error;
  const tied_status status = tied_embed(Session(session), found_ids, Size(count), found.data(), Size(floats), &error);
  if (Succeeds(env, status, error)) found.Write();
}

void Logits(JNIEnv* env, jclass, jlong session, jobject hidden, jfloatArray array, jint hidden_position, jint tokens,
            jint floats, jobject logits, jint position, jint remaining) {
  Floats found_hidden(env, hidden, array, hidden_position, Size(floats));
  float* found = nullptr;
  if (!found_hidden.ok() || !Find(env, logits, position, &found)) return;
  found_hidden.Read();
  tied_error error;
  const tied_status status =
      tied_logits(Session(session), found_hidden.data(), Size(tokens), found, Size(remaining), &error);
  Succeeds(env, status, error);
}

jlong Argmax(JNIEnv* env, jclass, jlong session, jobject hidden, jfloatArray array, jint position, jint floats) {
  int64_t id = -1;
  Floats found(env, hidden, array, position, Size(floats));
  if (!found.ok()) return id;
  found.Read();
  tied_error error;
  Succeeds(env, tied_argmax(Session(session), found.data(), 1, &id, nullptr, &error), error);
  return id;
}

// Sets *options. False with an exception pending if the bitmap has no address.
bool FindOptions(JNIEnv* env, jobject allowed, jint allowed_bytes, jboolean use_screen, jdouble log_z_tolerance,
                 tied_topk_options* options) {
  uint8_t* found_allowed = nullptr;
  if (!Find(env, allowed, 0, &found_allowed)) return false;
  options->allowed = found_allowed;
  options->allowed_bytes = Size(allowed_bytes);
  options->use_screen = use_screen;
  options->log_z_tolerance = log_z_tolerance;
  return true;
}

void BeamStep(JNIEnv* env, jclass, jlong session, jobject hidden, jfloatArray array, jint position, jint beams,
              jint floats, jdoubleArray scores, jint count, jobject allowed, jint allowed_bytes, jboolean use_screen,
              jdouble log_z_tolerance, jintArray parents, jlongArray longs, jintArray ints, jdoubleArray best_scores) {
  Scratch<double> found_scores(env, Size(beams));
  Scratch<jint> found_parents(env, Size(count));
  TokenIds found_ids(env, Size(count));
  Scratch<double> found_best(env, Size(count));
  if (env->ExceptionCheck()) return;
  env->GetDoubleArrayRegion(scores, 0, beams, found_scores.data());
  Floats found_hidden(env, hidden, array, position, Size(floats));
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  if (!found_hidden.ok() || !FindOptions(env, allowed, allowed_bytes, use_screen, log_z_tolerance, &options)) return;
  found_hidden.Read();
  tied_error error;
  const tied_status status =
      tied_beam_step(Session(session), found_hidden.data(), found_scores.data(), Size(beams), Size(count), &options,
                     found_parents.data(), found_ids.data(), found_best.data(), &error);
  if (!Succeeds(env, status, error) || beams == 0) return;
  env->SetIntArrayRegion(parents, 0, count, found_parents.data());
  found_ids.Write(nullptr, longs, ints, 0);
  env->SetDoubleArrayRegion(best_scores, 0, count, found_best.data());
}

void TopK(JNIEnv* env, jclass, jlong session, jobject hidden, jfloatArray array, jint position, jint tokens,
          jint floats, jint k, jobject allowed, jint allowed_bytes, jboolean use_screen, jdouble log_z_tolerance,
          jobject id_buffer, jlongArray longs, jintArray ints, jint ids_position, jfloatArray logits,
          jdoubleArray log_z) {
  const size_t count = Size(tokens) * Size(k);
  TokenIds found_ids(env, count);
  Scratch<float> found_logits(env, logits == nullptr ? 0 : count);
  Scratch<double> found_log_z(env, log_z == nullptr ? 0 : Size(tokens));
  if (found_ids.data() == nullptr || found_logits.data() == nullptr || found_log_z.data() == nullptr) return;
  Floats found_hidden(env, hidden, array, position, Size(floats));
  tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
  if (!found_hidden.ok() || !FindOptions(env, allowed, allowed_bytes, use_screen, log_z_tolerance, &options)) return;
  found_hidden.Read();
  tied_topk_result result = {};
  result.ids = found_ids.data();
  result.logits = logits == nullptr ? nullptr : found_logits.data();
  result.log_z = log_z == nullptr ? nullptr : found_log_z.data();
  tied_error error;
  const tied_status status =
      tied_topk_with(Session(session), found_hidden.data(), Size(tokens), Size(k), &options, &result, &error);
  if (!Succeeds(env, status, error)) return;
  found_ids.Write(id_buffer, longs, ints, ids_position);
  if (logits != nullptr) env->SetFloatArrayRegion(logits, 0, static_cast<jsize>(count), found_logits.data());
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
      {const_cast<char*>("nativeEmbed"), const_cast<char*>("(JLjava/nio/Buffer;Z[J[III" FLOATS "[FII)V"),
       reinterpret_cast<void*>(Embed)},
      {const_cast<char*>("nativeLogits"), const_cast<char*>("(J" FLOATS "[FIII" FLOATS "II)V"),
       reinterpret_cast<void*>(Logits)},
      {const_cast<char*>("nativeArgmax"), const_cast<char*>("(J" FLOATS "[FII)J"), reinterpret_cast<void*>(Argmax)},
      {const_cast<char*>("nativeTopK"),
       const_cast<char*>("(J" FLOATS "[FIIIILjava/nio/ByteBuffer;IZDLjava/nio/IntBuffer;[J[II[F[D)V"),
       reinterpret_cast<void*>(TopK)},
      {const_cast<char*>("nativeBeamStep"), const_cast<char*>("(J" FLOATS "[FIII[DILjava/nio/ByteBuffer;IZD[I[J[I[D)V"),
       reinterpret_cast<void*>(BeamStep)},
      {const_cast<char*>("nativeRun"), const_cast<char*>("(J[B" TENSORS TENSORS ")V"), reinterpret_cast<void*>(Run)},
  };
#undef FLOATS
#undef TENSORS
  return Register(env, "dev/tied/TiedSession", kMethods, sizeof kMethods / sizeof *kMethods);
}

}  // namespace tied::jni
