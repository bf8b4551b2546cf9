// Names of unfinished files, which signals remove.
#ifndef TIED_BASE_TEMPORARY_NAMES_H_
#define TIED_BASE_TEMPORARY_NAMES_H_

#include <csignal>

namespace tied {

// Holds back the signals that end the program, so that a file and its place in the list appear and go together.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// From now on SIGHUP, SIGINT and SIGTERM remove the file of this name before they end the program, until KeepOnSignal()
// gets the same pointer. A signal that is ignored, as under nohup, stays ignored. Call both with the signals blocked.
void RemoveOnSignal(const char* name);
void KeepOnSignal(const char* name);

}  // namespace tied

#endif  // TIED_BASE_TEMPORARY_NAMES_H_
