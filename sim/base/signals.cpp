#include "sim/base/signals.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>

namespace trainyard {
namespace {

constexpr std::array kEnding = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU, SIGALRM, SIGUSR1, SIGUSR2};
constexpr std::size_t kMostFiles = 16;

// A handler can reach nothing but globals: which temporary files there are, and whose.
struct TemporaryFile {
  std::atomic<bool> is_used = false;
  std::array<char, PATH_MAX> name{};
};
std::array<TemporaryFile, kMostFiles> temporary_files;  // NOLINT: see above
std::atomic<pid_t> owner = 0;                           // NOLINT: see above
std::array<bool, kEnding.size()> is_handled{};          // NOLINT: see above
bool broken_pipes_kill = false;                         // NOLINT: see above

void end_by(int signal) {
  if (::getpid() == owner) {
    for (TemporaryFile& file : temporary_files) {
      if (file.is_used) {
        ::unlink(file.name.data());
      }
    }
  }
  std::signal(signal, SIG_DFL);
  ::raise(signal);  // delivered when the handler returns
}

struct sigaction action_of(void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  return action;
}

}  // namespace

void prepare_process() {
  owner = ::getpid();
  // Open for reading only: what is written to a closed standard output must not pass for written.
  for (int file = STDIN_FILENO; file <= STDERR_FILENO; ++file) {
    if (::fcntl(file, F_GETFD) == -1 && errno == EBADF) {
      const int opened = ::open("/dev/null", O_RDONLY);
      static_cast<void>(opened);  // the lowest free number is `file`
    }
  }
  const struct sigaction ignored = action_of(SIG_IGN);
  struct sigaction before {};
  ::sigaction(SIGPIPE, &ignored, &before);
  broken_pipes_kill = before.sa_handler != SIG_IGN;
  ::sigaction(SIGXFSZ, &ignored, nullptr);
  for (std::size_t i = 0; i < kEnding.size(); ++i) {
    ::sigaction(kEnding[i], nullptr, &before);
    is_handled[i] = before.sa_handler != SIG_IGN;  // nohup and background jobs of shells ignore some
  }
  restore_signals();
}

void restore_signals() {
  const struct sigaction ending = action_of(end_by);
  for (std::size_t i = 0; i < kEnding.size(); ++i) {
    if (is_handled[i]) {
      ::sigaction(kEnding[i], &ending, nullptr);
    }
  }
}

void prepare_child(int parent) {
  for (std::size_t i = 0; i < kEnding.size(); ++i) {
    if (is_handled[i]) {
      std::signal(kEnding[i], SIG_DFL);
    }
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(1);  // it died before it was watched
  }
}

void end_by_broken_pipe() {
  if (broken_pipes_kill) {
    std::signal(SIGPIPE, SIG_DFL);
    ::raise(SIGPIPE);
  }
}

int remove_when_killed(const std::string& file) {
  for (std::size_t i = 0; i < kMostFiles; ++i) {
    if (!temporary_files[i].is_used && file.size() < PATH_MAX) {
      std::memcpy(temporary_files[i].name.data(), file.c_str(), file.size() + 1);
      temporary_files[i].is_used = true;
      return static_cast<int>(i);
    }
  }
  return -1;
}

void keep_when_killed(int guard) {
  if (guard >= 0) {
    temporary_files[static_cast<std::size_t>(guard)].is_used = false;
  }
}

}  // namespace trainyard
