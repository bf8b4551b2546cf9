// A forked child that reports over a socket, to measure memory in a fresh process.
#ifndef TIED_TOOLS_TIED_BENCH_CHILD_PROCESS_H_
#define TIED_TOOLS_TIED_BENCH_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

namespace tied::cli {

// One end of the socket between parent and child.
class Channel {
 public:
  explicit Channel(int socket) : socket_(socket) {}
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  template <typename T>
  void Send(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    SendFrame(kValue, &value, sizeof(value));
  }

  // Throws std::runtime_error with the other side's message if it failed or ended.
  template <typename T>
  T Receive() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    ReceiveFrame(&value, sizeof(value));
    return value;
  }

  void SendFailure(const std::string& message);

  // Makes the other side's next Send or Receive fail, even if other processes still hold this end.
  void HangUp();

 private:
  enum Kind : char { kValue, kFailure };
  void SendFrame(Kind kind, const void* data, size_t bytes);
  void ReceiveFrame(void* data, size_t bytes);

  int socket_;
};

class ChildProcess {
 public:
  // Forks, so no other thread may run. `body` runs in the child; the parent's next Receive() throws what it throws.
  explicit ChildProcess(const std::function<void(Channel&)>& body);
  // Hangs up, and waits for the child to end.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  Channel& channel() { return *channel_; }

 private:
  std::unique_ptr<Channel> channel_;
  pid_t pid_ = -1;
};

}  // namespace tied::cli

#endif  // TIED_TOOLS_TIED_BENCH_CHILD_PROCESS_H_
