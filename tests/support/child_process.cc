#include "tests/support/child_process.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <memory>

#include "tests/support/launcher.h"

namespace tied::test {

namespace {

struct Closer {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Closer>;

std::string Content(std::FILE* file) {
  std::string content;
  std::rewind(file);
  char buffer[4096];
  for (size_t got; (got = std::fread(buffer, 1, sizeof buffer, file)) > 0;) content.append(buffer, got);
  return content;
}

}  // namespace

ChildOutcome RunInChild(const std::function<int()>& body) {
  const File out(std::tmpfile()), err(std::tmpfile());
  ChildOutcome outcome;
  const pid_t child = fork();
  if (child == 0) {
    dup2(fileno(out.get()), STDOUT_FILENO);
    dup2(fileno(err.get()), STDERR_FILENO);
    close(fileno(out.get()));
    close(fileno(err.get()));
    _exit(body());
  }
  int status = 0;
  rusage usage = {};
  if (wait4(child, &status, 0, &usage) != child) return outcome;
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  outcome.out = Content(out.get());
  outcome.err = Content(err.get());
  outcome.peak_bytes = static_cast<size_t>(usage.ru_maxrss) * 1024;
  return outcome;
}

ChildOutcome RunProgram(std::vector<std::string> words, const std::function<void()>& before) {
  std::vector<std::string> launched = Launcher();
  launched.insert(launched.end(), words.begin(), words.end());
  std::vector<char*> argv;
  for (std::string& word : launched) argv.push_back(word.data());
  argv.push_back(nullptr);
  return RunInChild([&] {
    before();
    execvp(argv[0], argv.data());
    return 127;
  });
}

}  // namespace tied::test
