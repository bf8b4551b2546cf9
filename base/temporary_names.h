// Removes unfinished files when a signal ends the program.
#ifndef TIED_BASE_TEMPORARY_NAMES_H_
#define TIED_BASE_TEMPORARY_NAMES_H_

#include <csignal>

namespace tied {

// Blocks the signals that end the program, so that creating or naming a file and listing it here are one step.
class SignalsBlocked {
 public:
  SignalsBlocked();
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

// RemoveOnSignal() makes SIGHUP, SIGINT and SIGTERM remove the file before they end the program, until KeepOnSignal()
// gets the same pointer. Ignored signals, as under nohup, stay ignored. Call both with the signals blocked.
void RemoveOnSignal(const char* name);
void KeepOnSignal(const char* name);

}  // namespace tied

#endif  // TIED_BASE_TEMPORARY_NAMES_H_
