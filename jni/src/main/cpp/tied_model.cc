// dev.tied.TiedModel
#include "jni_util.h"

namespace tied::jni {

namespace {

tied_model* Model(jlong pointer) { return reinterpret_cast<tied_model*>(static_cast<intptr_t>(pointer)); }

// TiedModel.Option, by ordinal.
tied_open_options Options(jint mask) {
  tied_open_options options = TIED_OPEN_OPTIONS_INIT;
  options.verify_planes = mask & 1;
  options.copy = mask >> 1 & 1;
  return options;
}

jlong Open(JNIEnv* env, jclass, jbyteArray path, jint mask) {
  const char* text = TextOf(env, path, "the path contains a null character");
  if (text == nullptr) return 0;
  const tied_open_options options = Options(mask);
  tied_model* model = nullptr;
  tied_error error;
  Succeeds(env, tied_model_open(text, &options, &model, &error), error);
  ReleaseText(env, path, text);
  return reinterpret_cast<jlong>(model);
}

jlong OpenFd(JNIEnv* env, jclass, jint fd, jlong offset, jlong length, jint mask) {
  const tied_open_options options = Options(mask);
  tied_model* model = nullptr;
  tied_error error;
  const tied_status status =
      tied_model_open_fd(fd, static_cast<uint64_t>(offset), static_cast<uint64_t>(length), &options, &model, &error);
  Succeeds(env, status, error);
  return reinterpret_cast<jlong>(model);
}

// Not on Android, which hides the field.
jint Descriptor(JNIEnv* env, jclass, jobject descriptor) {
  jfieldID field = env->GetFieldID(env->GetObjectClass(descriptor), "fd", "I");
  return field == nullptr ? -1 : env->GetIntField(descriptor, field);
}

void Close(JNIEnv*, jclass, jlong model) { tied_model_close(Model(model)); }

// Sets dimensions [4] to rows, columns and vocabulary of the head, and columns of the embedding. If the model has only
// one of the two, all four describe that one.
void Dimensions(JNIEnv* env, jclass, jlong model, jintArray dimensions) {
  tied_head_info head = TIED_HEAD_INFO_INIT;
  tied_embedding_info embedding = TIED_EMBEDDING_INFO_INIT;
  const bool has_head = tied_model_get_head(Model(model), &head, nullptr) == TIED_OK;
  const bool has_embedding = tied_model_get_embedding(Model(model), &embedding, nullptr) == TIED_OK;
  const jint found[] = {static_cast<jint>(has_head ? head.rows : embedding.rows),
                        static_cast<jint>(has_head ? head.cols : embedding.cols),
                        static_cast<jint>(has_head ? head.vocabulary : embedding.vocabulary),
                        static_cast<jint>(has_embedding ? embedding.cols : head.cols)};
  env->SetIntArrayRegion(dimensions, 0, 4, found);
}

jlong NewSession(JNIEnv* env, jclass, jlong model, jint threads, jboolean deterministic) {
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  options.threads = threads;
  options.deterministic = deterministic;
  tied_session* session = nullptr;
  tied_error error;
  Succeeds(env, tied_session_create(Model(model), &options, &session, &error), error);
  return reinterpret_cast<jlong>(session);
}

void Verify(JNIEnv* env, jclass, jlong model) {
  tied_error error;
  Succeeds(env, tied_model_verify(Model(model), &error), error);
}

// A TiedModel.Progress for one call.
struct Progress {
  JNIEnv* env;
  jobject listener;
  jmethodID update;
};

int32_t Update(void* user, uint64_t done, uint64_t total) {
  const Progress& progress = *static_cast<const Progress*>(user);
  const jboolean goes_on = progress.env->CallBooleanMethod(progress.listener, progress.update, static_cast<jlong>(done),
                                                           static_cast<jlong>(total));
  return progress.env->ExceptionCheck() || !goes_on;
}

void Prefetch(JNIEnv* env, jclass, jlong model, jboolean everything, jobject listener) {
  Progress progress = {env, listener, nullptr};
  if (listener != nullptr) {
    jclass type = env->FindClass("dev/tied/TiedModel$Progress");
    if (type == nullptr) return;
    progress.update = env->GetMethodID(type, "update", "(JJ)Z");
    if (progress.update == nullptr) return;
  }
  tied_prefetch_options options = TIED_PREFETCH_OPTIONS_INIT;
  options.everything = everything;
  tied_error error;
  const tied_status status =
      tied_model_prefetch(Model(model), &options, listener == nullptr ? nullptr : Update, &progress, &error);
  if (!env->ExceptionCheck()) Succeeds(env, status, error);  // the listener's exception, if it threw one
}

jlong ResidentBytes(JNIEnv* env, jclass, jlong model) {
  uint64_t bytes = 0;
  tied_error error;
  Succeeds(env, tied_model_resident_bytes(Model(model), &bytes, &error), error);
  return static_cast<jlong>(bytes);
}

void Trim(JNIEnv* env, jclass, jlong model) {
  tied_error error;
  Succeeds(env, tied_model_trim(Model(model), &error), error);
}

jobjectArray EntryPoints(JNIEnv* env, jclass, jlong model) {
  tied_model_info info = {};
  tied_error error;
  if (!Succeeds(env, tied_model_get_info(Model(model), &info, &error), error)) return nullptr;
  jobjectArray names = env->NewObjectArray(static_cast<jsize>(info.entry_point_count), env->FindClass("[B"), nullptr);
  for (size_t i = 0; names != nullptr && i < info.entry_point_count; ++i) {
    tied_entry_point_info entry_point = {};
    if (!Succeeds(env, tied_model_get_entry_point(Model(model), i, &entry_point, &error), error)) return nullptr;
    jbyteArray name = NewBytes(env, entry_point.name);
    if (name == nullptr) return nullptr;
    env->SetObjectArrayElement(names, static_cast<jsize>(i), name);
    env->DeleteLocalRef(name);
  }
  return names;
}

}  // namespace

bool RegisterModel(JNIEnv* env) {
  static const JNINativeMethod kMethods[] = {
      {const_cast<char*>("nativeOpen"), const_cast<char*>("([BI)J"), reinterpret_cast<void*>(Open)},
      {const_cast<char*>("nativeOpenFd"), const_cast<char*>("(IJJI)J"), reinterpret_cast<void*>(OpenFd)},
      {const_cast<char*>("nativeDescriptor"), const_cast<char*>("(Ljava/io/FileDescriptor;)I"),
       reinterpret_cast<void*>(Descriptor)},
      {const_cast<char*>("nativeClose"), const_cast<char*>("(J)V"), reinterpret_cast<void*>(Close)},
      {const_cast<char*>("nativeDimensions"), const_cast<char*>("(J[I)V"), reinterpret_cast<void*>(Dimensions)},
      {const_cast<char*>("nativeNewSession"), const_cast<char*>("(JIZ)J"), reinterpret_cast<void*>(NewSession)},
      {const_cast<char*>("nativeVerify"), const_cast<char*>("(J)V"), reinterpret_cast<void*>(Verify)},
      {const_cast<char*>("nativePrefetch"), const_cast<char*>("(JZLdev/tied/TiedModel$Progress;)V"),
       reinterpret_cast<void*>(Prefetch)},
      {const_cast<char*>("nativeResidentBytes"), const_cast<char*>("(J)J"), reinterpret_cast<void*>(ResidentBytes)},
      {const_cast<char*>("nativeTrim"), const_cast<char*>("(J)V"), reinterpret_cast<void*>(Trim)},
      {const_cast<char*>("nativeEntryPoints"), const_cast<char*>("(J)[[B"), reinterpret_cast<void*>(EntryPoints)},
  };
  return Register(env, "dev/tied/TiedModel", kMethods, sizeof kMethods / sizeof *kMethods);
}

}  // namespace tied::jni
