// tied for C++17: tied.h with RAII instead of close calls, and exceptions instead of status codes.
//
//  - A call that fails throws tied::Error with the status and message of the C call; outputs and session are then
//    unchanged. Calls that return a vector may also throw std::bad_alloc.
//  - Model and Session can be moved but not copied. A moved-from object may only be destroyed or assigned to.
//  - The caller owns all buffers; a call does not keep them. Spans count elements.
//  - Any number of threads may use a Model at once; one thread at a time may use a Session.
#ifndef TIED_TIED_HPP_
#define TIED_TIED_HPP_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "tied/tied.h"

namespace tied {

class Error : public std::runtime_error {
 public:
  Error(tied_status status, const std::string& message) : std::runtime_error(message), status_(status) {}

  // One of tied.h's TIED_ constants, never TIED_OK.
  tied_status status() const { return status_; }

 private:
  tied_status status_;
};

// A borrowed array: pointer and number of elements. Converts implicitly from a vector, an array or another span.
template <typename T>
class Span {
 public:
  Span() = default;
  Span(T* data, size_t size) : data_(data), size_(size) {}

  template <typename Container,
            typename = std::enable_if_t<std::is_convertible_v<decltype(std::declval<Container&>().data()), T*>>>
  Span(Container&& container)  // NOLINT: implicit, so that a vector can be passed as a span
      : data_(container.data()), size_(container.size()) {}

  T* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  T* data_ = nullptr;
  size_t size_ = 0;
};

namespace internal {

inline void Check(tied_status status, const tied_error& error) {
  if (status != TIED_OK) throw Error(status, error.message);
}

template <typename T>
constexpr tied_type TypeOf() {
  static_assert(
      std::is_same_v<T, float> || std::is_same_v<T, int32_t> || std::is_same_v<T, int64_t> || std::is_same_v<T, bool>,
      "a tensor holds float, int32_t, int64_t or bool");
  if (std::is_same_v<T, float>) return TIED_FLOAT32;
  if (std::is_same_v<T, int32_t>) return TIED_INT32;
  if (std::is_same_v<T, int64_t>) return TIED_INT64;
  return TIED_BOOL;
}

}  // namespace internal

// A tensor for Session::Run that borrows `name` and `values`; both must outlive it.
// Throws INVALID_ARGUMENT for more than TIED_MAX_RANK dimensions.
template <typename T>
tied_tensor MakeTensor(const char* name, Span<const int64_t> dims, Span<T> values) {
  if (dims.size() > TIED_MAX_RANK) {
    throw Error(TIED_INVALID_ARGUMENT, std::string(name) + ": a tensor has at most " + std::to_string(TIED_MAX_RANK) +
                                           " dimensions, not " + std::to_string(dims.size()));
  }
  using Element = std::remove_const_t<T>;
  tied_tensor tensor = {};
  tensor.name = name;
  tensor.type = internal::TypeOf<Element>();
  tensor.rank = dims.size();
  for (size_t i = 0; i < dims.size(); ++i) tensor.dims[i] = dims.data()[i];
  tensor.data = const_cast<Element*>(values.data());  // tied.h never writes to an input
  tensor.bytes = values.size() * sizeof(Element);
  return tensor;
}

// An output for Session::Run without a buffer: the call sets only its type, shape and bytes, unless data is set first.
inline tied_tensor OutputTensor(const char* name) {
  tied_tensor tensor = {};
  tensor.name = name;
  return tensor;
}

struct OpenOptions {
  bool verify_planes = false;  // also do what Verify() does, which reads the whole file
  bool copy = false;           // read the file into memory, all of it anonymous, instead of mapping it
};

// A mapped .tied file. Strings and pointers in the structs that it returns live as long as the model.
class Model {
 public:
  // Maps the file at `path` and checks its header. The file must not be changed or truncated while the model lives,
  // unless it is copied.
  static Model Open(const std::string& path, const OpenOptions& options = {}) {
    return Make([&](const tied_open_options* c_options, tied_model** model,
                    tied_error* error) { return tied_model_open(path.c_str(), c_options, model, error); },
                options);
  }

  // Opens `length` bytes (0: up to the end) at `offset`, a multiple of 4, of an open file. The caller keeps `fd` and
  // may close it afterwards.
  static Model OpenFd(int fd, uint64_t offset = 0, uint64_t length = 0, const OpenOptions& options = {}) {
    return Make([&](const tied_open_options* c_options, tied_model** model,
                    tied_error* error) { return tied_model_open_fd(fd, offset, length, c_options, model, error); },
                options);
  }

  // Opens a file in memory, aligned to 4 bytes. The memory must not change until the model and all its sessions are
  // destroyed.
  static Model OpenMemory(const void* data, size_t length, const OpenOptions& options = {}) {
    return Make([&](const tied_open_options* c_options, tied_model** model,
                    tied_error* error) { return tied_model_open_memory(data, length, c_options, model, error); },
                options);
  }

  // Reads the whole file: checks every hash, and that scales, zero points and residual norms are valid. Throws CORRUPT
  // with a message that names the first error.
  void Verify() const {
    tied_error error;
    internal::Check(tied_model_verify(get(), &error), error);
  }

  // Reads what a top-k reads for each token, or the whole file, into the page cache. After each piece it calls
  // progress(bytes done, total), if there is one; false stops, and Prefetch() then throws CANCELLED. What `progress`
  // throws, Prefetch() throws. Throws IO_ERROR, OUT_OF_MEMORY.
  void Prefetch(const std::function<bool(uint64_t done, uint64_t total)>& progress = {},
                bool everything = false) const {
    struct Call {
      const std::function<bool(uint64_t, uint64_t)>& progress;
      std::exception_ptr thrown;
    } call = {progress, nullptr};
    // No exception may pass through the C functions.
    const auto report = [](void* user, uint64_t done, uint64_t total) -> int32_t {
      Call& running = *static_cast<Call*>(user);
      try {
        return running.progress(done, total) ? 0 : 1;
      } catch (...) {
        running.thrown = std::current_exception();
        return 1;
      }
    };
    tied_prefetch_options options = TIED_PREFETCH_OPTIONS_INIT;
    options.everything = everything ? 1 : 0;
    tied_error error;
    const tied_status status = progress ? tied_model_prefetch(get(), &options, report, &call, &error)
                                        : tied_model_prefetch(get(), &options, nullptr, nullptr, &error);
    if (call.thrown != nullptr) std::rethrow_exception(call.thrown);
    internal::Check(status, error);
  }

  // Bytes of the file's pages that are mapped into this process now.
  uint64_t ResidentBytes() const {
    uint64_t bytes = 0;
    tied_error error;
    internal::Check(tied_model_resident_bytes(get(), &bytes, &error), error);
    return bytes;
  }

  // Releases the table's pages until their next use. Safe while sessions run.
  void Trim() {
    tied_error error;
    internal::Check(tied_model_trim(get(), &error), error);
  }

  // Describe the model. An index at or above the count in Info() throws INVALID_ARGUMENT.
  tied_model_info Info() const { return Get<tied_model_info>(tied_model_get_info); }
  tied_table_info Table(size_t index) const { return Get<tied_table_info>(tied_model_get_table, index); }
  tied_value_info Input(size_t index) const { return Get<tied_value_info>(tied_model_get_input, index); }
  tied_value_info Output(size_t index) const { return Get<tied_value_info>(tied_model_get_output, index); }
  tied_entry_point_info EntryPoint(size_t index) const {
    return Get<tied_entry_point_info>(tied_model_get_entry_point, index);
  }
  tied_selector_info Selector(size_t entry_point, size_t index) const {
    return Get<tied_selector_info>(tied_model_get_selector, entry_point, index);
  }
  tied_op_info Op(size_t entry_point, size_t index) const {
    return Get<tied_op_info>(tied_model_get_op, entry_point, index);
  }

  // The embedding that Session::Embed computes. Throws UNSUPPORTED if the model has none.
  tied_embedding_info Embedding() const {
    tied_embedding_info info = TIED_EMBEDDING_INFO_INIT;
    tied_error error;
    internal::Check(tied_model_get_embedding(get(), &info, &error), error);
    return info;
  }
  tied_table_info EmbeddingTable() const { return Table(Embedding().table); }

  // The lm_head that Session::Logits, Argmax and Topk compute. Throws UNSUPPORTED if the model has none.
  tied_head_info Head() const {
    tied_head_info info = TIED_HEAD_INFO_INIT;
    tied_error error;
    internal::Check(tied_model_get_head(get(), &info, &error), error);
    return info;
  }
  tied_table_info HeadTable() const { return Table(Head().table); }

  // For calls to tied.h. The model keeps ownership.
  tied_model* get() const { return model_.get(); }

 private:
  struct Close {
    void operator()(tied_model* model) const { tied_model_close(model); }
  };

  explicit Model(tied_model* model) : model_(model) {}

  template <typename OpenCall>
  static Model Make(const OpenCall& open, const OpenOptions& options) {
    tied_open_options c_options = TIED_OPEN_OPTIONS_INIT;
    c_options.verify_planes = options.verify_planes ? 1 : 0;
    c_options.copy = options.copy ? 1 : 0;
    tied_model* model = nullptr;
    tied_error error;
    internal::Check(open(&c_options, &model, &error), error);
    return Model(model);
  }

  template <typename Info, typename GetCall, typename... Index>
  Info Get(GetCall call, Index... index) const {
    Info info = {};
    tied_error error;
    internal::Check(call(get(), index..., &info, &error), error);
    return info;
  }

  std::unique_ptr<tied_model, Close> model_;
};

struct SessionOptions {
  int32_t threads = 0;             // 1 to 256; 0: one for each performance core that the process may run on
  bool deterministic = true;       // the same bits on every CPU, for any number of threads and tokens
  int32_t xnnpack_min_tokens = 0;  // if not deterministic: use XNNPACK from this many tokens on; 0: the default
};

struct TopkOptions {
  Span<const int64_t> row_ids = {};  // allow only these ids; empty: all
  Span<const uint8_t> allowed = {};  // allow only ids whose bit is 1: bit id % 8 of byte id / 8; empty: all
  bool use_screen = true;            // use the table's screen where it saves time; the results are the same
  bool log_z = false;                // also return the log of the sum of exp(logit) over the allowed ids
  double log_z_tolerance = 0;        // largest acceptable error of log_z; 0: float64 precision, always the same bits
};

struct TopkResult {
  std::vector<int64_t> ids;         // [tokens, k], best first
  std::vector<float> logits;        // [tokens, k]
  std::vector<double> log_z;        // [tokens], or empty
  std::vector<double> log_z_bound;  // [tokens], or empty
  std::vector<uint64_t> survivors;  // [tokens]: rows computed from the table
  uint64_t bytes_read = 0;
};

struct BeamResult {
  std::vector<int32_t> parents;  // [count]: the beam that each id continues
  std::vector<int64_t> ids;      // [count], best first
  std::vector<double> scores;    // [count]
};

// Runs a model. Owns a thread pool and scratch memory.
class Session {
 public:
  // Keeps the model's mapping alive, even after `model` is destroyed. Throws INVALID_ARGUMENT, OUT_OF_MEMORY.
  explicit Session(const Model& model, const SessionOptions& options = {}) {
    tied_session_options c_options = TIED_SESSION_OPTIONS_INIT;
    c_options.threads = options.threads;
    c_options.deterministic = options.deterministic ? 1 : 0;
    c_options.xnnpack_min_tokens = options.xnnpack_min_tokens;
    tied_session* session = nullptr;
    tied_error error;
    internal::Check(tied_session_create(model.get(), &c_options, &session, &error), error);
    session_.reset(session);
    // These stay 0 if the model has no embedding or head; the calls then throw UNSUPPORTED.
    tied_embedding_info embedding = TIED_EMBEDDING_INFO_INIT;
    tied_model_get_embedding(model.get(), &embedding, nullptr);
    embedding_cols_ = static_cast<size_t>(embedding.cols);
    tied_head_info head = TIED_HEAD_INFO_INIT;
    tied_model_get_head(model.get(), &head, nullptr);
    head_cols_ = static_cast<size_t>(head.cols);
    vocabulary_ = static_cast<size_t>(head.vocabulary);
  }

  // Threads that the session uses, including the calling thread.
  size_t Threads() const { return tied_session_threads(get()); }

  // Sets embeddings[i, :] = row of ids[i] * scale. embeddings: at least [ids, cols].
  // Throws OUT_OF_RANGE for an id below 0, at or above the vocabulary or dropped, BUFFER_TOO_SMALL, UNSUPPORTED, BUSY.
  void Embed(Span<const int64_t> ids, Span<float> embeddings) {
    tied_error error;
    internal::Check(tied_embed(get(), ids.data(), ids.size(), embeddings.data(), embeddings.size(), &error), error);
  }

  // Returns the embeddings, [ids, cols].
  std::vector<float> Embed(Span<const int64_t> ids) {
    std::vector<float> embeddings(ids.size() * embedding_cols_);
    Embed(ids, embeddings);
    return embeddings;
  }

  // Sets logits[t, id] = dot(scale * hidden[t, :], row of id) + bias of id, soft-capped if Model::Head() has a cap, and
  // -infinity for dropped ids.
  // hidden: [tokens, cols]; logits: at least [tokens, vocabulary].
  // Throws INVALID_ARGUMENT if the size of hidden is not a multiple of cols, BUFFER_TOO_SMALL, UNSUPPORTED, BUSY.
  void Logits(Span<const float> hidden, Span<float> logits) {
    tied_error error;
    internal::Check(tied_logits(get(), hidden.data(), Tokens(hidden), logits.data(), logits.size(), &error), error);
  }

  // Returns the logits, [tokens, vocabulary].
  std::vector<float> Logits(Span<const float> hidden) {
    std::vector<float> logits(Tokens(hidden) * vocabulary_);
    Logits(hidden, logits);
    return logits;
  }

  // Sets ids[t] to the id with the largest logit for token t; of equal logits the lowest id. hidden: [tokens, cols];
  // best_logits: [tokens], or empty if not wanted. Throws NOT_FINITE if hidden holds NaN or infinity or a logit is NaN,
  // BUFFER_TOO_SMALL, INVALID_ARGUMENT if the size of hidden is not a multiple of cols, UNSUPPORTED, BUSY.
  void Argmax(Span<const float> hidden, Span<int64_t> ids, Span<float> best_logits = {}) {
    const size_t tokens = Tokens(hidden);
    if (ids.size() < tokens || (best_logits.size() != 0 && best_logits.size() < tokens)) {
      throw Error(TIED_BUFFER_TOO_SMALL, "argmax of " + std::to_string(tokens) + " tokens: room for " +
                                             std::to_string(ids.size()) + " ids and " +
                                             std::to_string(best_logits.size()) + " logits is too small");
    }
    tied_error error;
    float* logits = best_logits.size() == 0 ? nullptr : best_logits.data();
    internal::Check(tied_argmax(get(), hidden.data(), tokens, ids.data(), logits, &error), error);
  }

  // Returns the ids, [tokens].
  std::vector<int64_t> Argmax(Span<const float> hidden) {
    std::vector<int64_t> ids(Tokens(hidden));
    Argmax(hidden, ids);
    return ids;
  }

  // Returns the k ids with the largest logits for each token. hidden: [tokens, cols].
  // Throws INVALID_ARGUMENT (k, tolerance, sizes), OUT_OF_RANGE (a row id), NOT_FINITE, UNSUPPORTED, BUSY.
  TopkResult Topk(Span<const float> hidden, size_t k, const TopkOptions& options = {}) {
    const size_t tokens = Tokens(hidden);
    if (k > TIED_MAX_K) {
      throw Error(TIED_INVALID_ARGUMENT,
                  "k is " + std::to_string(k) + "; it must be at most " + std::to_string(TIED_MAX_K));
    }
    TopkResult result;
    result.ids.resize(tokens * k);
    result.logits.resize(tokens * k);
    result.survivors.resize(tokens);
    if (options.log_z) result.log_z.resize(tokens);
    if (options.log_z) result.log_z_bound.resize(tokens);
    const tied_topk_options c_options = ToC(options);
    const tied_topk_result c_result = {result.ids.data(),
                                       result.logits.data(),
                                       options.log_z ? result.log_z.data() : nullptr,
                                       options.log_z ? result.log_z_bound.data() : nullptr,
                                       result.survivors.data(),
                                       &result.bytes_read};
    tied_error error;
    internal::Check(tied_topk_with(get(), hidden.data(), tokens, k, &c_options, &c_result, &error), error);
    return result;
  }

  // One step of a beam search: the `count` largest of scores[b] + log-probability over all beams b and allowed ids.
  // hidden: [beams, cols]; scores: [beams]. log_z is computed whatever options.log_z is; see tied_beam_step().
  // Throws as Topk(); NOT_FINITE also if a score is NaN or +infinity or a log-probability NaN.
  BeamResult BeamStep(Span<const float> hidden, Span<const double> scores, size_t count,
                      const TopkOptions& options = {}) {
    const size_t beams = Tokens(hidden);
    if (beams != scores.size() || count > TIED_MAX_K) {
      throw Error(TIED_INVALID_ARGUMENT, "a beam step with " + std::to_string(beams) + " hidden states, " +
                                             std::to_string(scores.size()) + " scores and " + std::to_string(count) +
                                             " results");
    }
    if (beams == 0) return {};
    BeamResult result;
    result.parents.resize(count);
    result.ids.resize(count);
    result.scores.resize(count);
    const tied_topk_options c_options = ToC(options);
    tied_error error;
    internal::Check(tied_beam_step(get(), hidden.data(), scores.data(), beams, count, &c_options, result.parents.data(),
                                   result.ids.data(), result.scores.data(), &error),
                    error);
    return result;
  }

  // Runs an entry point with the names of the ONNX graph; see tied_run() for inputs and outputs.
  // entry_point: null to let the selectors among the inputs choose.
  // Throws NOT_FOUND, INVALID_ARGUMENT, BUFFER_TOO_SMALL, OUT_OF_RANGE, BUSY.
  void Run(const char* entry_point, Span<const tied_tensor> inputs, Span<tied_tensor> outputs) {
    tied_error error;
    internal::Check(tied_run(get(), entry_point, inputs.data(), inputs.size(), outputs.data(), outputs.size(), &error),
                    error);
  }

  // For calls to tied.h. The session keeps ownership.
  tied_session* get() const { return session_.get(); }

 private:
  struct Destroy {
    void operator()(tied_session* session) const { tied_session_destroy(session); }
  };

  static tied_topk_options ToC(const TopkOptions& options) {
    tied_topk_options c_options = TIED_TOPK_OPTIONS_INIT;
    if (options.row_ids.size() > 0) c_options.row_ids = options.row_ids.data();
    c_options.row_count = options.row_ids.size();
    if (options.allowed.size() > 0) c_options.allowed = options.allowed.data();
    c_options.allowed_bytes = options.allowed.size();
    c_options.use_screen = options.use_screen ? 1 : 0;
    c_options.log_z_tolerance = options.log_z_tolerance;
    return c_options;
  }

  // 0 if the model has no lm_head.
  size_t Tokens(Span<const float> hidden) const {
    if (head_cols_ == 0) return 0;
    if (hidden.size() % head_cols_ != 0) {
      throw Error(TIED_INVALID_ARGUMENT, "hidden has " + std::to_string(hidden.size()) +
                                             " elements; expected a multiple of " + std::to_string(head_cols_));
    }
    return hidden.size() / head_cols_;
  }

  std::unique_ptr<tied_session, Destroy> session_;
  size_t embedding_cols_ = 0;
  size_t head_cols_ = 0;  // 0: no lm_head
  size_t vocabulary_ = 0;
};

// The kernels built into the library, slowest first.
inline std::vector<tied_kernel_info> Kernels() {
  std::vector<tied_kernel_info> kernels(tied_kernel_count());
  for (size_t i = 0; i < kernels.size(); ++i) {
    tied_error error;
    internal::Check(tied_kernel_get_info(i, &kernels[i], &error), error);
  }
  return kernels;
}

}  // namespace tied

#endif  // TIED_TIED_HPP_
