#include "sim/base/output_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/base/signals.hpp"

namespace trainyard {
namespace fs = std::filesystem;
namespace {

constexpr int kMostLinks = 40;  // as the kernel's own limit, path_resolution(7)
constexpr mode_t kPermissions = 07777;

[[noreturn]] void fail_write(const fs::path& path, int error) {
  std::string reason = std::strerror(error);
  if (error == ENXIO) {
    reason = "nobody reads from this pipe";
  }
  throw UserError(
      {.file = path.string(),
       .problem = fmt::format("cannot write the file ({})", reason),
       .remedy = fault_of(error) == ExitCode::kInternal ? "make room, or raise the limits of this process"
                                                        : "name a file in a folder that exists and is writable"},
      fault_of(error));
}

// The number N of /proc/self/fd/N, as /dev/stdout and /dev/fd/N lead to; -1 for other paths.
int named_descriptor(const fs::path& path) {
  std::error_code status;
  const fs::path folder = fs::canonical(path.parent_path(), status);
  if (status || folder != fmt::format("/proc/{}/fd", ::getpid())) {
    return -1;
  }
  const std::string name = path.filename().string();
  int number = -1;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  return error == std::errc{} && end == name.data() + name.size() ? number : -1;
}

// A pipe is opened without waiting for ever for its reader.
int open_directly(const OutputPlace& place) {
  if (place.descriptor >= 0) {
    return ::fcntl(place.descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  }
  const auto begin = std::chrono::steady_clock::now();
  for (;;) {
    const int file = ::open(place.target.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (file >= 0) {
      ::fcntl(file, F_SETFL, O_WRONLY);  // from here on a reader may take its time
      return file;
    }
    const bool waits = errno == ENXIO && S_ISFIFO(place.status.st_mode);
    if (!waits || std::chrono::steady_clock::now() - begin > kPatience) {
      return -1;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

// A name in the target's folder, short whatever the target's own name is.
std::string temporary_name(const fs::path& target) {
  static int number = 0;
  return target.parent_path() / fmt::format(".trainyard-{}-{}.tmp", ::getpid(), number++);
}

}  // namespace

OutputPlace output_place(const fs::path& path) {
  OutputPlace place{.target = fs::absolute(path)};
  std::error_code status;
  for (int links = 0; links < kMostLinks; ++links) {
    place.descriptor = named_descriptor(place.target);
    if (place.descriptor >= 0 || !fs::is_symlink(place.target, status)) {
      break;
    }
    // Read step by step: the last link may lead to what does not exist yet.
    const fs::path next = fs::read_symlink(place.target, status);
    place.target = next.is_absolute() ? next : place.target.parent_path() / next;
  }
  place.exists = place.descriptor >= 0 ? ::fstat(place.descriptor, &place.status) == 0
                                       : ::stat(place.target.c_str(), &place.status) == 0;
  const fs::path folder = fs::canonical(place.target.parent_path(), status);
  if (!status && place.descriptor < 0) {
    place.target = folder / place.target.filename();
  }
  return place;
}

bool same_file(const OutputPlace& a, const OutputPlace& b) {
  if (a.exists != b.exists) {
    return false;
  }
  if (!a.exists) {
    return a.target == b.target;
  }
  return S_ISREG(a.status.st_mode) && a.status.st_dev == b.status.st_dev && a.status.st_ino == b.status.st_ino;
}

OutputFile::OutputFile(const fs::path& path) : path_(path) {
  const OutputPlace place = output_place(path);
  target_ = place.target;
  if (place.exists && S_ISDIR(place.status.st_mode)) {
    fail(EISDIR);
  }
  if (place.descriptor >= 0 || (place.exists && !S_ISREG(place.status.st_mode))) {
    file_ = Descriptor(open_directly(place));
    if (file_.number() < 0) {
      fail(errno);
    }
    return;
  }
  // Whoever may not change the file may not replace it either.
  if (place.exists && ::access(target_.c_str(), W_OK) != 0) {
    fail(errno);
  }
  constexpr mode_t kNew = 0666;  // less the process's mask
  constexpr mode_t kPrivate = 0600;
  temporary_ = temporary_name(target_);
  guard_ = remove_when_killed(temporary_);
  file_ =
      Descriptor(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, place.exists ? kPrivate : kNew));
  if (file_.number() < 0) {
    const int error = errno;
    keep_when_killed(guard_);
    temporary_.clear();
    fail(error);
  }
  if (place.exists) {
    // Who owns it first: a change of owner takes set-user-id bits away. Not everybody may give files away.
    const int ignored = ::fchown(file_.number(), place.status.st_uid, place.status.st_gid);
    static_cast<void>(ignored);
    ::fchmod(file_.number(), place.status.st_mode & kPermissions);
  }
}

OutputFile::~OutputFile() {
  if (!temporary_.empty()) {
    ::unlink(temporary_.c_str());
    keep_when_killed(guard_);
  }
}

void OutputFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(file_.number(), text.data(), text.size());
    if (written < 0 && errno != EINTR) {
      fail(errno);
    }
    text.remove_prefix(written > 0 ? static_cast<std::size_t>(written) : 0);
  }
}

void OutputFile::commit() {
  // Pipes and devices cannot be synchronised, which is no fault.
  if (::fsync(file_.number()) != 0 && errno != EINVAL && errno != EROFS && errno != ENOTSUP) {
    fail(errno);
  }
  if (::close(file_.release()) != 0) {
    fail(errno);
  }
  if (temporary_.empty()) {
    return;
  }
  if (::rename(temporary_.c_str(), target_.c_str()) != 0) {
    fail(errno);
  }
  temporary_.clear();
  keep_when_killed(guard_);
}

void OutputFile::fail(int error) const {
  fail_write(path_, error);
}

void write_file(const fs::path& path, std::string_view content) {
  OutputFile file(path);
  file.write(content);
  file.commit();
}

void check_writable(const fs::path& path) {
  const OutputPlace place = output_place(path);
  const bool opens = place.descriptor < 0 && (!place.exists || S_ISREG(place.status.st_mode));
  if (opens) {
    const OutputFile file(path);  // a temporary file that goes at once
    return;
  }
  if (S_ISDIR(place.status.st_mode)) {
    fail_write(path, EISDIR);
  }
  // A pipe must not be opened and closed: its reader would take that for its end.
  if (place.descriptor < 0 && ::access(place.target.c_str(), W_OK) != 0) {
    fail_write(path, errno);
  }
  if (place.descriptor >= 0 && (!place.exists || (::fcntl(place.descriptor, F_GETFL) & O_ACCMODE) == O_RDONLY)) {
    fail_write(path, EBADF);
  }
}

}  // namespace trainyard
