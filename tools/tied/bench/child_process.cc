#include "tools/tied/bench/child_process.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#ifdef __linux__
#include <sys/prctl.h>
#endif

namespace tied::cli {

namespace {

bool ReadAll(int fd, void* data, size_t bytes) {
  char* next = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = recv(fd, next, bytes, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    next += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

bool WriteAll(int fd, const void* data, size_t bytes) {
  const char* next = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t put = send(fd, next, bytes, MSG_NOSIGNAL);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return false;
    next += put;
    bytes -= static_cast<size_t>(put);
  }
  return true;
}

[[noreturn]] void RunChild(const std::function<void(Channel&)>& body, Channel& channel) {
#ifdef __linux__
  // A child that waits for its parent must not outlive it.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
  try {
    body(channel);
  } catch (const std::exception& error) {
    channel.SendFailure(error.what());
  }
  // Not exit(): buffers and destructors belong to the parent.
  _exit(0);
}

}  // namespace

Channel::~Channel() { close(socket_); }

void Channel::HangUp() { shutdown(socket_, SHUT_RDWR); }

void Channel::SendFailure(const std::string& message) { SendFrame(kFailure, message.data(), message.size()); }

void Channel::SendFrame(Kind kind, const void* data, size_t bytes) {
  const uint64_t size = bytes;
  if (!WriteAll(socket_, &kind, 1) || !WriteAll(socket_, &size, sizeof(size)) || !WriteAll(socket_, data, bytes)) {
    throw std::runtime_error("the other process has ended");
  }
}

void Channel::ReceiveFrame(void* data, size_t bytes) {
  Kind kind = kValue;
  uint64_t size = 0;
  if (!ReadAll(socket_, &kind, 1) || !ReadAll(socket_, &size, sizeof(size))) {
    throw std::runtime_error("the other process has ended");
  }
  if (kind == kFailure) {
    std::string message(static_cast<size_t>(size), '\0');
    ReadAll(socket_, message.data(), message.size());
    throw std::runtime_error(message);
  }
  if (size != bytes || !ReadAll(socket_, data, bytes)) throw std::runtime_error("the other process has ended");
}

ChildProcess::ChildProcess(const std::function<void(Channel&)>& body) {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0) {
    throw std::runtime_error(std::string("cannot create a socket: ") + std::strerror(errno));
  }
  auto parent_end = std::make_unique<Channel>(sockets[0]);
  auto child_end = std::make_unique<Channel>(sockets[1]);
  pid_ = fork();
  if (pid_ < 0) throw std::runtime_error(std::string("cannot start a process: ") + std::strerror(errno));
  if (pid_ == 0) {
    parent_end.reset();
    RunChild(body, *child_end);
  }
  channel_ = std::move(parent_end);
}

ChildProcess::~ChildProcess() {
  // Closing is not enough, because children that were forked later also hold this end.
  channel_->HangUp();
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace tied::cli
