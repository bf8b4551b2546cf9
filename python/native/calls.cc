#include "native/calls.h"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace tied::python {

namespace {

namespace nb = nanobind;
using std::chrono::milliseconds;

std::vector<tied_session*> running;  // guarded by the GIL
std::atomic<unsigned> forks{0};
std::atomic<bool> exiting{false};
std::atomic<std::thread::id> exiting_thread{};

// The parent's calls do not run in the child.
void AfterFork() {
  ++forks;
  running.clear();
}

// Other threads cannot start calls any more. This one can: later exit handlers run in it.
void EndRunningCalls() {
  exiting_thread = std::this_thread::get_id();
  exiting = true;
  while (!running.empty()) {
    for (tied_session* session : running) {
      if (session != nullptr) tied_session_cancel(session);
    }
    const nb::gil_scoped_release released;
    std::this_thread::sleep_for(milliseconds(1));
  }
}

}  // namespace

void WatchProcess() {
  pthread_atfork(nullptr, nullptr, AfterFork);
  nb::module_::import_("atexit").attr("register")(nb::cpp_function(EndRunningCalls));
}

unsigned Forks() { return forks; }

void HandleSignals() {
  if (exiting) throw InterpreterExits();
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

RunningCall::RunningCall(tied_session* session) : session_(session) {
  if (exiting && exiting_thread.load() != std::this_thread::get_id()) {
    throw std::runtime_error("the interpreter is exiting; no new call can start");
  }
  running.push_back(session);
}

RunningCall::~RunningCall() {
  const auto mine = std::find(running.begin(), running.end(), session_);
  if (mine != running.end()) running.erase(mine);
}

tied_status RunInterruptibly(tied_session* session, const SessionCall& call, tied_error* error) {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  tied_status status = TIED_INTERNAL;
  std::thread worker;
  try {
    worker = std::thread([&] {
      const tied_status result = call(error);
      const std::lock_guard<std::mutex> lock(mutex);
      status = result;
      done = true;
      changed.notify_one();
    });
  } catch (const std::system_error&) {  // no thread can be had: then without interruption
    const nb::gil_scoped_release released;
    return call(error);
  }
  const auto wait = [&](milliseconds time) {
    const nb::gil_scoped_release released;
    std::unique_lock<std::mutex> lock(mutex);
    return changed.wait_for(lock, time, [&] { return done; });
  };
  bool interrupted = false;
  while (!wait(milliseconds(20))) {
    interrupted = PyErr_CheckSignals() != 0;
    if (interrupted) break;
  }
  if (interrupted) {
    // Again and again: the call may not have begun yet.
    do tied_session_cancel(session);
    while (!wait(milliseconds(1)));
  }
  worker.join();
  if (interrupted) throw nb::python_error();
  return status;
}

}  // namespace tied::python
