// Opens the written file in the runtime.
#ifndef TIED_CONVERTER_OUTPUT_OPEN_MODEL_H_
#define TIED_CONVERTER_OUTPUT_OPEN_MODEL_H_

#include <tied/tied.h>

#include <memory>
#include <string>

#include "base/error.h"

namespace tied::converter {

inline void Require(tied_status status, const tied_error& error) {
  if (status != TIED_OK) throw ConvertError(std::string("the written file does not run: ") + error.message);
}

// Throws ConvertError if the runtime cannot open the file `descriptor`.
inline void RequireOpens(int descriptor) {
  tied_model* model = nullptr;
  tied_error error;
  if (tied_model_open_fd(descriptor, 0, 0, nullptr, &model, &error) != TIED_OK) {
    throw ConvertError(std::string("the file would not open: ") + error.message);
  }
  tied_model_close(model);
}

// A model and a session on it.
class OpenModel {
 public:
  explicit OpenModel(const std::string& path) {
    tied_error error;
    tied_model* model = nullptr;
    Require(tied_model_open(path.c_str(), nullptr, &model, &error), error);
    model_.reset(model);
    tied_session* session = nullptr;
    Require(tied_session_create(model, nullptr, &session, &error), error);
    session_.reset(session);
  }

  tied_model* model() const { return model_.get(); }
  tied_session* session() const { return session_.get(); }

 private:
  struct Closer {
    void operator()(tied_model* model) const { tied_model_close(model); }
    void operator()(tied_session* session) const { tied_session_destroy(session); }
  };

  std::unique_ptr<tied_model, Closer> model_;
  std::unique_ptr<tied_session, Closer> session_;
};

}  // namespace tied::converter

#endif  // TIED_CONVERTER_OUTPUT_OPEN_MODEL_H_
