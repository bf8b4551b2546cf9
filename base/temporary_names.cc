#include "base/temporary_names.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace tied {

namespace {

constexpr int kSignals[] = {SIGHUP, SIGINT, SIGTERM};

constexpr size_t kMostNames = 64;
const char* g_names[kMostNames];

void RemoveAndDie(int signal) {
  for (const char* name : g_names) {
    if (name != nullptr) unlink(name);
  }
  std::signal(signal, SIG_DFL);
  raise(signal);
}

void SetHandlers(void (*from)(int), void (*to)(int)) {
  for (const int signal : kSignals) {
    const auto before = std::signal(signal, to);
    if (before != from) std::signal(signal, before);
  }
}

bool AnyNames() {
  return std::any_of(std::begin(g_names), std::end(g_names), [](auto* name) { return name; });
}

}  // namespace

SignalsBlocked::SignalsBlocked() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : kSignals) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
}

SignalsBlocked::~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

void RemoveOnSignal(const char* name) {
  if (!AnyNames()) SetHandlers(SIG_DFL, RemoveAndDie);
  for (const char*& slot : g_names) {
    if (slot == nullptr) {
      slot = name;
      return;
    }
  }
}

void KeepOnSignal(const char* name) {
  std::replace(std::begin(g_names), std::end(g_names), name, static_cast<const char*>(nullptr));
  if (!AnyNames()) SetHandlers(RemoveAndDie, SIG_DFL);
}

}  // namespace tied
