// How a call of the C ABI runs under Python: without the GIL, interrupted by signals, ended when the interpreter exits.
#ifndef TIED_PYTHON_CALLS_H_
#define TIED_PYTHON_CALLS_H_

#include <nanobind/nanobind.h>

#include <exception>
#include <functional>

#include "tied/tied.hpp"

namespace tied::python {

// Registers what follows fork() and what ends running calls at the interpreter's exit. Called once, with the GIL.
void WatchProcess();

// Number of forks between the process that imported the module and this one.
unsigned Forks();

// Lets Python handle signals during a long call, and passes on the exception of a handler, such as KeyboardInterrupt;
// with the GIL. Throws InterpreterExits if the call has to end.
void HandleSignals();

class InterpreterExits : public std::exception {
 public:
  const char* what() const noexcept override { return "the interpreter exits: the call has ended"; }
};

// Marks a call as running while it lives; with the GIL. A thread that needs the GIL after the interpreter is gone would
// end in the middle of a C++ function, so the exit cancels all calls and waits for them. Throws RuntimeError during the
// exit.
class RunningCall {
 public:
  explicit RunningCall(tied_session* session);  // nullptr: a call that calls HandleSignals(), or is short
  ~RunningCall();
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;

 private:
  tied_session* session_;
};

using SessionCall = std::function<tied_status(tied_error*)>;

// Runs `call` in another thread while this one lets Python handle signals. An exception of a signal handler, such as
// KeyboardInterrupt, cancels the call and is thrown.
tied_status RunInterruptibly(tied_session* session, const SessionCall& call, tied_error* error);

// Products above which a call is long enough to be interrupted: more than about 50 ms.
inline constexpr double kLongCall = 5e8;

// Runs a call of `session` that computes `products` products. Throws tied::Error.
template <typename Call>
void Run(tied_session* session, double products, const Call& call) {
  const RunningCall running(session);
  tied_error error;
  tied_status status;
  if (products < kLongCall) {
    const nanobind::gil_scoped_release released;
    status = call(&error);
  } else {
    status = RunInterruptibly(session, call, &error);
  }
  tied::internal::Check(status, error);
}

}  // namespace tied::python

#endif  // TIED_PYTHON_CALLS_H_
