#include "native/session.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

#include "native/calls.h"
#include "native/errors.h"
#include "native/handles.h"
#include "native/model.h"
#include "native/run.h"

namespace tied::python {

namespace nb = nanobind;
// clang-tidy 14 does not see uses of literals: NOLINTNEXTLINE(misc-unused-using-decls)
using nanobind::literals::operator""_a;

SessionHandle::SessionHandle(std::shared_ptr<ModelHandle> of, const tied_session_options& options)
    : model(std::move(of)) {
  tied_error error;
  tied::internal::Check(tied_session_create(model->model.get(), &options, &session, &error), error);
}

SessionHandle::~SessionHandle() {
  if (forks == Forks()) tied_session_destroy(session);
}

namespace {

template <typename T>
using Array = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Floats = Array<const float>;
using Ids = Array<const int64_t>;
using Bits = Array<const uint8_t>;

template <typename T>
T* DataOrNull(const std::optional<Array<T>>& array) {
  return array ? array->data() : nullptr;
}

class PySession {
 public:
  PySession(const PyModel& model, int32_t threads, bool deterministic, int32_t xnnpack_min_tokens) {
    tied_session_options options = TIED_SESSION_OPTIONS_INIT;
    options.threads = threads;
    options.deterministic = deterministic ? 1 : 0;
    options.xnnpack_min_tokens = xnnpack_min_tokens;
    handle_ = std::make_shared<SessionHandle>(model.handle(), options);
    tied_head_info head = TIED_HEAD_INFO_INIT;
    if (tied_model_get_head(model.handle()->model.get(), &head, nullptr) == TIED_OK) head_ = head;
  }

  void Close() { handle_.reset(); }
  bool closed() const { return handle_ == nullptr; }
  size_t Threads() const { return tied_session_threads(handle()->session); }
  void Cancel() const { tied_session_cancel(handle()->session); }

  void Embed(const Ids& ids, const Array<float>& out) const {
    const std::shared_ptr<SessionHandle> session = handle();
    Run(session->session, 0, [&](tied_error* error) {
      return tied_embed(session->session, ids.data(), ids.size(), out.data(), out.size(), error);
    });
  }

  void Logits(const Floats& hidden, const Array<float>& out) const {
    const size_t tokens = Tokens(hidden);
    const std::shared_ptr<SessionHandle> session = handle();
    Run(session->session, Products(tokens, head_.rows), [&](tied_error* error) {
      return tied_logits(session->session, hidden.data(), tokens, out.data(), out.size(), error);
    });
  }

  void LogitsOf(const Floats& hidden, const Ids& rows, const Array<float>& out) const {
    const size_t tokens = Tokens(hidden);
    const std::shared_ptr<SessionHandle> session = handle();
    Run(session->session, Products(tokens, rows.size()), [&](tied_error* error) {
      return tied_logits_of(session->session, hidden.data(), tokens, rows.data(), rows.size(), out.data(), out.size(),
                            error);
    });
  }

  void LogitsAllowed(const Floats& hidden, const Bits& allowed, const Array<float>& out) const {
    const size_t tokens = Tokens(hidden);
    const std::shared_ptr<SessionHandle> session = handle();
    Run(session->session, Products(tokens, head_.rows), [&](tied_error* error) {
      return tied_logits_allowed(session->session, hidden.data(), tokens, allowed.data(), allowed.size(), out.data(),
                                 out.size(), error);
    });
  }

  void Argmax(const Floats& hidden, const Array<int64_t>& ids) const {
    const size_t tokens = Tokens(hidden);
    const std::shared_ptr<SessionHandle> session = handle();
    Run(session->session, Products(tokens, head_.rows), [&](tied_error* error) {
      return tied_argmax(session->session, hidden.data(), tokens, ids.data(), nullptr, error);
    });
  }

  // Returns the bytes read.
  uint64_t Topk(const Floats& hidden, size_t k, const std::optional<Ids>& rows, const std::optional<Bits>& allowed,
                bool use_screen, double tolerance, const Array<int64_t>& ids, const Array<float>& logits,
                const std::optional<Array<double>>& log_z, const std::optional<Array<double>>& bound,
                const Array<uint64_t>& survivors) const {
    const size_t tokens = Tokens(hidden);
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.row_ids = DataOrNull(rows);
    options.row_count = rows ? rows->size() : 0;
    options.allowed = DataOrNull(allowed);
    options.allowed_bytes = allowed ? allowed->size() : 0;
    options.use_screen = use_screen ? 1 : 0;
    options.log_z_tolerance = tolerance;
    uint64_t bytes_read = 0;
    const tied_topk_result result = {ids.data(),        logits.data(),    DataOrNull(log_z),
                                     DataOrNull(bound), survivors.data(), &bytes_read};
    const std::shared_ptr<SessionHandle> session = handle();
    const double products = Products(tokens, rows ? rows->size() : head_.rows);
    Run(session->session, products, [&](tied_error* error) {
      return tied_topk_with(session->session, hidden.data(), tokens, k, &options, &result, error);
    });
    return bytes_read;
  }

  void BeamStep(const Floats& hidden, const Array<const double>& scores, const std::optional<Bits>& allowed,
                double tolerance, const Array<int32_t>& parents, const Array<int64_t>& ids,
                const Array<double>& best) const {
    tied_topk_options options = TIED_TOPK_OPTIONS_INIT;
    options.allowed = DataOrNull(allowed);
    options.allowed_bytes = allowed ? allowed->size() : 0;
    options.log_z_tolerance = tolerance;
    const std::shared_ptr<SessionHandle> session = handle();
    Run(session->session, Products(scores.size(), head_.rows), [&](tied_error* error) {
      return tied_beam_step(session->session, hidden.data(), scores.data(), scores.size(), ids.size(), &options,
                            parents.data(), ids.data(), best.data(), error);
    });
  }

  nb::list OutputsOf(const nb::object& entry_point, const nb::list& inputs, const nb::list& names) const {
    Tensors tensors(entry_point, inputs);
    tensors.AddOutputs(names);
    RunTensors(&tensors, 0);
    return tensors.OutputShapes();
  }

  void RunGraph(const nb::object& entry_point, const nb::list& inputs, const nb::list& outputs) const {
    Tensors tensors(entry_point, inputs);
    const double logits = tensors.AddOutputs(outputs);
    RunTensors(&tensors, logits * static_cast<double>(head_.cols));
  }

 private:
  const std::shared_ptr<SessionHandle>& handle() const {
    if (handle_ == nullptr) throw nb::value_error("the session is closed");
    if (handle_->forks != Forks()) {
      throw std::runtime_error(
          "the session was made before fork(), and its threads are in the parent process; make a "
          "new one, tied.Session(session.model)");
    }
    return handle_;
  }

  size_t Tokens(const Floats& hidden) const { return head_.cols == 0 ? 0 : hidden.size() / head_.cols; }

  double Products(size_t tokens, uint64_t rows) const {
    return static_cast<double>(tokens) * static_cast<double>(rows) * static_cast<double>(head_.cols);
  }

  void RunTensors(Tensors* tensors, double products) const {
    const std::shared_ptr<SessionHandle> session = handle();
    try {
      Run(session->session, products, [&](tied_error* error) {
        return tied_run(session->session, tensors->entry_point(), tensors->inputs.data(), tensors->inputs.size(),
                        tensors->outputs.data(), tensors->outputs.size(), error);
      });
    } catch (const Error& error) {
      if (error.status() == TIED_NOT_FOUND) throw NameNotFound(error.status(), error.what());
      throw;
    }
  }

  std::shared_ptr<SessionHandle> handle_;
  tied_head_info head_ = TIED_HEAD_INFO_INIT;  // all 0 if the model has none
};

}  // namespace

void DefineSession(nb::module_* module) {
  const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
  nb::class_<PySession>(*module, "Session")
      .def(nb::init<const PyModel&, int32_t, bool, int32_t>(), "model"_a, "threads"_a, "deterministic"_a,
           "xnnpack_min_tokens"_a)
      .def("close", &PySession::Close)
      .def_prop_ro("closed", &PySession::closed)
      .def_prop_ro("threads", &PySession::Threads)
      .def("cancel", &PySession::Cancel)
      .def("embed", &PySession::Embed, array("ids"), array("out"))
      .def("logits", &PySession::Logits, array("hidden"), array("out"))
      .def("logits_of", &PySession::LogitsOf, array("hidden"), array("rows"), array("out"))
      .def("logits_allowed", &PySession::LogitsAllowed, array("hidden"), array("allowed"), array("out"))
      .def("argmax", &PySession::Argmax, array("hidden"), array("ids"))
      .def("topk", &PySession::Topk, array("hidden"), "k"_a, nb::arg("rows").noconvert().none(),
           nb::arg("allowed").noconvert().none(), "use_screen"_a, "log_z_tolerance"_a, array("ids"), array("logits"),
           nb::arg("log_z").noconvert().none(), nb::arg("bound").noconvert().none(), array("survivors"))
      .def("beam_step", &PySession::BeamStep, array("hidden"), array("scores"), nb::arg("allowed").noconvert().none(),
           "log_z_tolerance"_a, array("parents"), array("ids"), array("best"))
      .def("outputs_of", &PySession::OutputsOf, "entry_point"_a.none(), "inputs"_a, "names"_a)
      .def("run", &PySession::RunGraph, "entry_point"_a.none(), "inputs"_a, "outputs"_a);
}

}  // namespace tied::python
