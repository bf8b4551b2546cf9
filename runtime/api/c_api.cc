// The C ABI: checks pointers, converts Status to tied_error, and calls the implementation.
#include <utility>

#include "kernels/cpu.h"
#include "kernels/float_environment.h"
#include "kernels/kernels.h"
#include "runtime/api/beam_step.h"
#include "runtime/api/c_abi.h"
#include "runtime/api/interpreter.h"
#include "runtime/api/session.h"
#include "runtime/api/typed_calls.h"
#include "runtime/compute/verify_table.h"
#include "runtime/file/model.h"
#include "runtime/file/prefetch.h"
#include "tied/tied.h"

using tied::runtime::MappedFile;
using tied::runtime::Model;
using tied::runtime::NullArgument;
using tied::runtime::ReadOptions;
using tied::runtime::Report;
using tied::runtime::Session;
using tied::runtime::Status;
using tied::runtime::Unwrap;

namespace {

// Reads the whole file: hashes, scales, residual norms.
Status Verify(const Model& model) {
  TIED_RETURN_IF_ERROR(model.VerifyHashes());
  for (const tied::runtime::TableView& table : model.graph().tables()) TIED_RETURN_IF_ERROR(VerifyTable(table));
  return Status();
}

// Opens the file that read_file(copy, &file) maps or reads.
template <class ReadFile>
Status OpenModel(const char* name, const tied_open_options* given, tied_model** model, const ReadFile& read_file) {
  if (model == nullptr) return NullArgument("model");
  tied_open_options options = TIED_OPEN_OPTIONS_INIT;
  TIED_RETURN_IF_ERROR(ReadOptions(given, &options));
  MappedFile file;
  TIED_RETURN_IF_ERROR(read_file(options.copy != 0, &file));
  Model* opened = nullptr;
  TIED_RETURN_IF_ERROR(Model::Create(std::move(file), name, &opened));
  const Status status = options.verify_planes != 0 ? Verify(*opened) : Status();
  if (!status.ok()) {
    opened->Unref();
    return Status::Error(status.code(), "%s: %s", name, status.message());
  }
  *model = reinterpret_cast<tied_model*>(opened);
  return Status();
}

// Runs `body` with exclusive use of the session.
template <class Body>
tied_status WithSession(tied_session* session, tied_error* error, const Body& body) {
  if (session == nullptr) return Report(NullArgument("session"), error);
  if (!Unwrap(session)->Enter()) return Report(Status::Error(TIED_BUSY, "the session is running another call"), error);
  const auto computed = [&] {
    const tied::kernels::ScopedFloatEnvironment environment;
    return body(*Unwrap(session));
  };
  const tied_status status = Report(computed(), error);
  Unwrap(session)->Leave();
  return status;
}

}  // namespace

extern "C" {

const char* tied_status_name(tied_status status) {
  switch (status) {
#define TIED_NAME(code) \
  case code:            \
    return #code
    TIED_NAME(TIED_OK);
    TIED_NAME(TIED_INVALID_ARGUMENT);
    TIED_NAME(TIED_OUT_OF_RANGE);
    TIED_NAME(TIED_BUFFER_TOO_SMALL);
    TIED_NAME(TIED_NOT_FOUND);
    TIED_NAME(TIED_PERMISSION_DENIED);
    TIED_NAME(TIED_IO_ERROR);
    TIED_NAME(TIED_CORRUPT);
    TIED_NAME(TIED_UNSUPPORTED);
    TIED_NAME(TIED_OUT_OF_MEMORY);
    TIED_NAME(TIED_NOT_FINITE);
    TIED_NAME(TIED_BUSY);
    TIED_NAME(TIED_INTERNAL);
    TIED_NAME(TIED_CANCELLED);
#undef TIED_NAME
    default:
      return "unknown status";
  }
}

uint32_t tied_version(void) { return TIED_VERSION_MAJOR * 1000000u + TIED_VERSION_MINOR * 1000u + TIED_VERSION_PATCH; }

tied_status tied_model_open(const char* path, const tied_open_options* options, tied_model** model, tied_error* error) {
  if (path == nullptr) return Report(NullArgument("path"), error);
  const auto read = [&](bool copy, MappedFile* file) { return MappedFile::Open(path, copy, file); };
  return Report(OpenModel(path, options, model, read), error);
}

tied_status tied_model_open_fd(int fd, uint64_t offset, uint64_t length, const tied_open_options* options,
                               tied_model** model, tied_error* error) {
  constexpr char kName[] = "file descriptor";
  const auto read = [&](bool copy, MappedFile* file) {
    return MappedFile::OpenDescriptor(fd, offset, length, copy, kName, file);
  };
  return Report(OpenModel(kName, options, model, read), error);
}

tied_status tied_model_open_memory(const void* data, size_t length, const tied_open_options* options,
                                   tied_model** model, tied_error* error) {
  if (data == nullptr) return Report(NullArgument("data"), error);
  if (reinterpret_cast<uintptr_t>(data) % alignof(float) != 0) {
    return Report(Status::Error(TIED_INVALID_ARGUMENT, "data is not aligned to 4 bytes"), error);
  }
  const auto read = [&](bool, MappedFile* file) {
    *file = MappedFile::FromMemory(data, length);
    return Status();
  };
  return Report(OpenModel("memory", options, model, read), error);
}

void tied_model_close(tied_model* model) {
  if (model != nullptr) Unwrap(model)->Unref();
}

tied_status tied_model_verify(const tied_model* model, tied_error* error) {
  return Report(model == nullptr ? NullArgument("model") : Verify(*Unwrap(model)), error);
}

tied_status tied_model_trim(tied_model* model, tied_error* error) {
  return Report(model == nullptr ? NullArgument("model") : Unwrap(model)->Trim(), error);
}

tied_status tied_model_prefetch(const tied_model* model, const tied_prefetch_options* given,
                                tied_prefetch_callback callback, void* user, tied_error* error) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  tied_prefetch_options options = TIED_PREFETCH_OPTIONS_INIT;
  const Status read = ReadOptions(given, &options);
  if (!read.ok()) return Report(read, error);
  return Report(tied::runtime::Prefetch(*Unwrap(model), options.everything != 0, callback, user), error);
}

tied_status tied_model_resident_bytes(const tied_model* model, uint64_t* bytes, tied_error* error) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (bytes == nullptr) return Report(NullArgument("bytes"), error);
  return Report(Unwrap(model)->CountResident(bytes), error);
}

tied_status tied_session_create(tied_model* model, const tied_session_options* given, tied_session** session,
                                tied_error* error) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (session == nullptr) return Report(NullArgument("session"), error);
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  const Status read = ReadOptions(given, &options);
  if (!read.ok()) return Report(read, error);
  if (options.threads < 0 || options.threads > 256) {
    return Report(Status::Error(TIED_INVALID_ARGUMENT, "threads is %d; it must be from 0 to 256", options.threads),
                  error);
  }
  if (options.xnnpack_min_tokens < 0) {
    return Report(Status::Error(TIED_INVALID_ARGUMENT, "xnnpack_min_tokens is %d; it must be at least 0",
                                options.xnnpack_min_tokens),
                  error);
  }
  const size_t xnnpack_min_tokens =
      options.deterministic != 0 ? tied::kernels::kNeverXnnpack : static_cast<size_t>(options.xnnpack_min_tokens);
  Session* created = nullptr;
  const Status status =
      Session::Create(Unwrap(model), static_cast<size_t>(options.threads), xnnpack_min_tokens, &created);
  if (status.ok()) *session = reinterpret_cast<tied_session*>(created);
  return Report(status, error);
}

void tied_session_destroy(tied_session* session) { delete Unwrap(session); }

size_t tied_session_threads(const tied_session* session) {
  return session == nullptr ? 0 : reinterpret_cast<const Session*>(session)->threads();
}

void tied_session_cancel(tied_session* session) {
  if (session != nullptr) Unwrap(session)->Cancel();
}

tied_status tied_embed(tied_session* session, const int64_t* ids, size_t count, float* embeddings, size_t capacity,
                       tied_error* error) {
  return WithSession(session, error,
                     [&](Session& running) { return tied::runtime::Embed(running, ids, count, embeddings, capacity); });
}

tied_status tied_logits(tied_session* session, const float* hidden, size_t tokens, float* logits, size_t capacity,
                        tied_error* error) {
  return WithSession(session, error, [&](Session& running) {
    return tied::runtime::Logits(running, hidden, tokens, {}, logits, capacity);
  });
}

tied_status tied_topk(tied_session* session, const float* hidden, size_t tokens, size_t k, int64_t* ids,
                      float* best_logits, tied_error* error) {
  return WithSession(session, error, [&](Session& running) {
    return tied::runtime::Topk(running, hidden, tokens, k, nullptr,
                               {ids, best_logits, nullptr, nullptr, nullptr, nullptr});
  });
}

tied_status tied_topk_with(tied_session* session, const float* hidden, size_t tokens, size_t k,
                           const tied_topk_options* options, const tied_topk_result* result, tied_error* error) {
  if (result == nullptr && tokens > 0) return Report(NullArgument("result"), error);
  const tied_topk_result nothing = {};
  return WithSession(session, error, [&](Session& running) {
    return tied::runtime::Topk(running, hidden, tokens, k, options, result == nullptr ? nothing : *result);
  });
}

tied_status tied_beam_step(tied_session* session, const float* hidden, const double* scores, size_t beams, size_t count,
                           const tied_topk_options* options, int32_t* parents, int64_t* ids, double* best_scores,
                           tied_error* error) {
  return WithSession(session, error, [&](Session& running) {
    return tied::runtime::BeamStep(running, hidden, scores, beams, count, options, {parents, ids, best_scores});
  });
}

tied_status tied_logits_of(tied_session* session, const float* hidden, size_t tokens, const int64_t* row_ids,
                           size_t row_count, float* logits, size_t capacity, tied_error* error) {
  return WithSession(session, error, [&](Session& running) {
    return tied::runtime::LogitsOf(running, hidden, tokens, row_ids, row_count, logits, capacity);
  });
}

tied_status tied_logits_allowed(tied_session* session, const float* hidden, size_t tokens, const uint8_t* allowed,
                                size_t allowed_bytes, float* logits, size_t capacity, tied_error* error) {
  return WithSession(session, error, [&](Session& running) {
    return tied::runtime::LogitsAllowed(running, hidden, tokens, allowed, allowed_bytes, logits, capacity);
  });
}

tied_status tied_argmax(tied_session* session, const float* hidden, size_t tokens, int64_t* ids, float* best_logits,
                        tied_error* error) {
  return tied_topk(session, hidden, tokens, 1, ids, best_logits, error);
}

tied_status tied_run(tied_session* session, const char* entry_point, const tied_tensor* inputs, size_t input_count,
                     tied_tensor* outputs, size_t output_count, tied_error* error) {
  if (inputs == nullptr && input_count > 0) return Report(NullArgument("inputs"), error);
  if (outputs == nullptr && output_count > 0) return Report(NullArgument("outputs"), error);
  return WithSession(session, error, [&](Session& running) {
    return tied::runtime::Run(running, entry_point, {inputs, input_count}, {outputs, output_count});
  });
}

size_t tied_kernel_count(void) {
  size_t count = 0;
  while (tied::kernels::AllKernels()[count] != nullptr) ++count;
  return count;
}

tied_status tied_kernel_get_info(size_t index, tied_kernel_info* info, tied_error* error) {
  if (info == nullptr) return Report(NullArgument("info"), error);
  if (index >= tied_kernel_count()) {
    return Report(
        Status::Error(TIED_INVALID_ARGUMENT, "index is %zu; it must be below %zu", index, tied_kernel_count()), error);
  }
  (void)tied::kernels::PrepareCpuinfo();
  const tied::kernels::Kernels* selected = tied::kernels::SelectKernels();
  const tied::kernels::Kernels* kernels = tied::kernels::AllKernels()[index];
  *info = {kernels->isa, kernels->available(), kernels == selected};
  return TIED_OK;
}

}  // extern "C"
