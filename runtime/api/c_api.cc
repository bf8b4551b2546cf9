// The C ABI: checks pointers, translates Status, and calls in.
#include <cstring>
#include <utility>

#include "kernels/cpu.h"
#include "kernels/float_environment.h"
#include "kernels/kernels.h"
#include "runtime/api/interpreter.h"
#include "runtime/api/session.h"
#include "runtime/api/typed_calls.h"
#include "runtime/compute/verify_table.h"
#include "runtime/file/model.h"
#include "tied/tied.h"

using tied::runtime::MappedFile;
using tied::runtime::Model;
using tied::runtime::NullArgument;
using tied::runtime::ReadOptions;
using tied::runtime::Session;
using tied::runtime::Status;
namespace format = tied::format;

namespace {

tied_status Report(const Status& status, tied_error* error) {
  if (!status.ok() && error != nullptr) {
    error->status = status.code();
    std::memcpy(error->message, status.message(), sizeof error->message);
  }
  return status.code();
}

Model* Unwrap(tied_model* model) { return reinterpret_cast<Model*>(model); }
const Model* Unwrap(const tied_model* model) { return reinterpret_cast<const Model*>(model); }
Session* Unwrap(tied_session* session) { return reinterpret_cast<Session*>(session); }

// Reads the whole file: hashes, scales, residual norms.
Status Verify(const Model& model) {
  TIED_RETURN_IF_ERROR(model.VerifyHashes());
  for (size_t i = 0; i < model.table_count(); ++i) TIED_RETURN_IF_ERROR(VerifyTable(model.Table(i)));
  return Status();
}

// Opens what `read_file` makes of the options.
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
  if (status.ok()) {
    *model = reinterpret_cast<tied_model*>(opened);
  } else {
    opened->Unref();
  }
  return status;
}

// Runs `body`, a function of the model's header that returns a Status, on item `index` of `count`.
template <class Count, class Body>
tied_status Describe(const tied_model* model, size_t index, const void* info, tied_error* error, const Count& count,
                     const Body& body) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (info == nullptr) return Report(NullArgument("info"), error);
  const format::Header& header = Unwrap(model)->header();
  const size_t items = count(header);
  if (index >= items) {
    return Report(Status::Error(TIED_INVALID_ARGUMENT, "index %zu is not below %zu", index, items), error);
  }
  body(header, static_cast<flatbuffers::uoffset_t>(index));
  return TIED_OK;
}

tied_plane_info PlaneInfo(const format::Plane* plane) {
  if (plane == nullptr) return {};
  return {plane->offset(), plane->length(), plane->hash()};
}

void FillValueInfo(const format::ValueInfo& value, tied_value_info* info) {
  *info = {};
  info->name = value.name()->c_str();
  info->type = static_cast<tied_type>(value.type());
  info->rank = value.dims()->size();
  for (size_t i = 0; i < info->rank; ++i) {
    const format::Dim& dim = *value.dims()->Get(static_cast<flatbuffers::uoffset_t>(i));
    info->dims[i] = dim.size() < 0 ? -1 : dim.size();
    info->symbols[i] = dim.symbol() == nullptr ? "" : dim.symbol()->c_str();
  }
}

void FillOpInfo(const format::Op& op, tied_op_info* info) {
  *info = {format::EnumNameOperation(op.operation_type()), 0, op.input(), op.output(), 1.0f, 0, "", 0, 0, ""};
  if (op.origin() != nullptr) info->origin = op.origin()->c_str();
  if (const format::Gather* gather = op.operation_as_Gather()) {
    info->table = gather->table();
    info->scale = gather->scale();
  }
  if (const format::MatMul* matmul = op.operation_as_MatMul()) {
    info->table = matmul->table();
    info->has_bias = matmul->bias() != nullptr;
    info->result = format::EnumNameMatMulResult(matmul->result());
    if (matmul->result() != format::MatMulResult::Logits) info->k = matmul->k();
    info->log_softmax = matmul->log_softmax();
  }
}

// Runs `body` with the session to itself.
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

tied_status tied_model_resident_bytes(const tied_model* model, uint64_t* bytes, tied_error* error) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (bytes == nullptr) return Report(NullArgument("bytes"), error);
  return Report(Unwrap(model)->CountResident(bytes), error);
}

tied_status tied_model_get_info(const tied_model* model, tied_model_info* info, tied_error* error) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (info == nullptr) return Report(NullArgument("info"), error);
  const format::Header& header = Unwrap(model)->header();
  const auto text = [](const flatbuffers::String* string) { return string == nullptr ? "" : string->c_str(); };
  *info = {Unwrap(model)->format_version(), Unwrap(model)->file_size(), text(header.producer()),
           text(header.source()),           text(header.graph()),       header.tables()->size(),
           header.inputs()->size(),         header.outputs()->size(),   header.entry_points()->size()};
  return TIED_OK;
}

tied_status tied_model_get_table(const tied_model* model, size_t index, tied_table_info* info, tied_error* error) {
  return Describe(
      model, index, info, error, [](const format::Header& header) { return header.tables()->size(); },
      [&](const format::Header& header, flatbuffers::uoffset_t i) {
        const format::TiedTable& table = *header.tables()->Get(i);
        *info = {};
        info->name = table.name()->c_str();
        info->type = static_cast<tied_type>(table.type());
        info->rows = table.rows();
        info->cols = table.cols();
        info->values = PlaneInfo(table.values());
        const tied::runtime::TableView view = Unwrap(model)->Table(i);
        info->vocabulary = view.ids.vocabulary;
        info->ids = PlaneInfo(table.ids());
        info->id_of_row = view.ids.ids;
        info->data = view.values;
        info->scales = PlaneInfo(table.scales());
        info->zero_points = PlaneInfo(table.zero_points());
        const format::Screen* screen = table.screen();
        if (screen == nullptr) return;
        info->screen = PlaneInfo(screen->values());
        info->screen_scales = PlaneInfo(screen->scales());
        info->screen_residual_norms = PlaneInfo(screen->residual_norms());
      });
}

tied_status tied_model_get_input(const tied_model* model, size_t index, tied_value_info* info, tied_error* error) {
  return Describe(
      model, index, info, error, [](const format::Header& header) { return header.inputs()->size(); },
      [&](const format::Header& header, flatbuffers::uoffset_t i) { FillValueInfo(*header.inputs()->Get(i), info); });
}

tied_status tied_model_get_output(const tied_model* model, size_t index, tied_value_info* info, tied_error* error) {
  return Describe(
      model, index, info, error, [](const format::Header& header) { return header.outputs()->size(); },
      [&](const format::Header& header, flatbuffers::uoffset_t i) { FillValueInfo(*header.outputs()->Get(i), info); });
}

tied_status tied_model_get_entry_point(const tied_model* model, size_t index, tied_entry_point_info* info,
                                       tied_error* error) {
  return Describe(
      model, index, info, error, [](const format::Header& header) { return header.entry_points()->size(); },
      [&](const format::Header& header, flatbuffers::uoffset_t i) {
        const format::EntryPoint& entry_point = *header.entry_points()->Get(i);
        *info = {entry_point.name()->c_str(), entry_point.selectors() == nullptr ? 0 : entry_point.selectors()->size(),
                 entry_point.ops()->size()};
      });
}

tied_status tied_model_get_selector(const tied_model* model, size_t entry_point, size_t index, tied_selector_info* info,
                                    tied_error* error) {
  tied_entry_point_info parent;
  const tied_status status = tied_model_get_entry_point(model, entry_point, &parent, error);
  if (status != TIED_OK) return status;
  return Describe(
      model, index, info, error, [&](const format::Header&) { return parent.selector_count; },
      [&](const format::Header& header, flatbuffers::uoffset_t i) {
        const auto which = static_cast<flatbuffers::uoffset_t>(entry_point);
        const format::Selector& selector = *header.entry_points()->Get(which)->selectors()->Get(i);
        *info = {selector.input(), selector.value()};
      });
}

tied_status tied_model_get_op(const tied_model* model, size_t entry_point, size_t index, tied_op_info* info,
                              tied_error* error) {
  tied_entry_point_info parent;
  const tied_status status = tied_model_get_entry_point(model, entry_point, &parent, error);
  if (status != TIED_OK) return status;
  return Describe(
      model, index, info, error, [&](const format::Header&) { return parent.op_count; },
      [&](const format::Header& header, flatbuffers::uoffset_t i) {
        const auto which = static_cast<flatbuffers::uoffset_t>(entry_point);
        FillOpInfo(*header.entry_points()->Get(which)->ops()->Get(i), info);
      });
}

tied_status tied_session_create(tied_model* model, const tied_session_options* given, tied_session** session,
                                tied_error* error) {
  if (model == nullptr) return Report(NullArgument("model"), error);
  if (session == nullptr) return Report(NullArgument("session"), error);
  tied_session_options options = TIED_SESSION_OPTIONS_INIT;
  const Status read = ReadOptions(given, &options);
  if (!read.ok()) return Report(read, error);
  if (options.threads < 0 || options.threads > 256) {
    return Report(Status::Error(TIED_INVALID_ARGUMENT, "%d threads are not in [0, 256]", options.threads), error);
  }
  if (options.xnnpack_min_tokens < 0) {
    return Report(Status::Error(TIED_INVALID_ARGUMENT, "xnnpack_min_tokens is %d", options.xnnpack_min_tokens), error);
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
    return Report(Status::Error(TIED_INVALID_ARGUMENT, "index %zu is not below %zu", index, tied_kernel_count()),
                  error);
  }
  (void)tied::kernels::PrepareCpuinfo();
  const tied::kernels::Kernels* selected = tied::kernels::SelectKernels();
  const tied::kernels::Kernels* kernels = tied::kernels::AllKernels()[index];
  *info = {kernels->isa, kernels->available(), kernels == selected};
  return TIED_OK;
}

}  // extern "C"
