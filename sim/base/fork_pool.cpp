#include "sim/base/fork_pool.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>

#include "sim/base/error.hpp"
#include "sim/base/signals.hpp"

namespace trainyard {
namespace {

struct Child {
  pid_t process;
  int pipe;
  std::size_t task;
  std::string output;
};

void write_all(int file, const std::string& text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t count = ::write(file, text.data() + written, text.size() - written);
    if (count < 0 && errno != EINTR) {
      return;
    }
    written += count > 0 ? static_cast<std::size_t>(count) : 0;
  }
}

// Nothing, and errno, where the process may have no more descriptors or children.
std::optional<Child> start(std::size_t task, const std::function<std::string(std::size_t)>& run) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return std::nullopt;
  }
  std::fflush(nullptr);  // what is buffered must not be written twice
  const pid_t parent = ::getpid();
  const pid_t process = ::fork();
  if (process < 0) {
    const int error = errno;
    ::close(ends[0]);
    ::close(ends[1]);
    errno = error;
    return std::nullopt;
  }
  if (process == 0) {
    prepare_child(parent);
    ::close(ends[0]);
    int status = 1;
    try {
      write_all(ends[1], run(task));
      status = 0;
    } catch (const std::bad_alloc&) {
      std::fputs("out of memory\n", stderr);
    } catch (const std::exception& error) {
      std::fputs(error.what(), stderr);
      std::fputc('\n', stderr);
    }
    std::fflush(nullptr);
    ::_exit(status);  // the parent's destructors are not the child's to run
  }
  ::close(ends[1]);
  return Child{.process = process, .pipe = ends[0], .task = task, .output = {}};
}

// The children that run. What is left of them when something goes wrong here ends with it.
struct Running {
  std::vector<Child> children;
  Running() = default;
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    for (const Child& child : children) {
      ::kill(child.process, SIGKILL);
      ::close(child.pipe);
      ::waitpid(child.process, nullptr, 0);
    }
  }
};

// Reads what is there; false at the end of the stream.
bool drain(Child& child) {
  std::array<char, 65536> buffer{};
  const ssize_t count = ::read(child.pipe, buffer.data(), buffer.size());
  if (count > 0) {
    child.output.append(buffer.data(), static_cast<std::size_t>(count));
  }
  return count > 0 || (count < 0 && errno == EINTR);
}

}  // namespace

std::size_t available_processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  const bool known = ::sched_getaffinity(0, sizeof(set), &set) == 0;
  const int count = known ? CPU_COUNT(&set) : 1;
  return count > 0 ? static_cast<std::size_t>(count) : 1;
}

std::vector<std::optional<std::string>> run_in_children(std::size_t tasks, std::size_t workers,
                                                        const std::function<std::string(std::size_t)>& task) {
  std::vector<std::optional<std::string>> results(tasks);
  Running all;
  std::vector<Child>& running = all.children;
  std::size_t next = 0;
  while (next < tasks || !running.empty()) {
    while (next < tasks && running.size() < workers) {
      std::optional<Child> child = start(next, task);
      if (!child && running.empty()) {
        throw UserError({.found = std::strerror(errno),
                         .problem = "cannot start another process",
                         .remedy = "raise the limits of this process (ulimit -n, -u, -v)"},
                        ExitCode::kInternal);
      }
      if (!child) {
        break;  // when one of those that run has ended
      }
      running.push_back(*std::move(child));
      ++next;
    }
    std::vector<pollfd> watched;
    for (const Child& child : running) {
      watched.push_back({.fd = child.pipe, .events = POLLIN, .revents = 0});
    }
    if (::poll(watched.data(), watched.size(), -1) < 0) {
      TY_ASSERT(errno == EINTR);
      continue;
    }
    for (std::size_t i = running.size(); i-- > 0;) {
      if (watched[i].revents == 0 || drain(running[i])) {
        continue;
      }
      Child child = std::move(running[i]);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
      ::close(child.pipe);
      int status = 0;
      ::waitpid(child.process, &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        results[child.task] = std::move(child.output);
      }
    }
  }
  return results;
}

}  // namespace trainyard
