#include "sim/base/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "sim/base/descriptor.hpp"
#include "sim/base/installed.hpp"
#include "sim/base/name_table.hpp"

namespace trainyard {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kChunk = std::size_t{1} << 16U;

std::vector<FileIdentity>& known_files() {
  static std::vector<FileIdentity> files;
  return files;
}

[[noreturn]] void fail_read(const fs::path& path, std::string_view reason, std::string remedy, ExitCode code) {
  throw UserError(
      {.file = path.string(), .problem = fmt::format("cannot read the file ({})", reason), .remedy = std::move(remedy)},
      code);
}

[[noreturn]] void fail_read(const fs::path& path, int error) {
  fail_read(path, std::strerror(error), "name a readable file", fault_of(error));
}

void check_size(const fs::path& path, std::uintmax_t size, std::uintmax_t largest) {
  if (size > largest) {
    throw UserError({.file = path.string(),
                     .found = fmt::format("{} bytes or more", size),
                     .allowed = fmt::format("{} MiB", largest >> 20U),
                     .problem = "the file is too large",
                     .remedy = "split it"});
  }
}

// What may come of a descriptor. A terminal and a pipe end when their other side says so, a device never.
bool can_be_read(const struct stat& status, int file) {
  return S_ISREG(status.st_mode) || S_ISFIFO(status.st_mode) || (S_ISCHR(status.st_mode) && ::isatty(file) == 1);
}

// Waits until a pipe has something to read or has ended. `silent` since when nothing came.
void wait_for_writer(const fs::path& path, int file, bool has_writer, std::chrono::steady_clock::time_point silent) {
  const auto patience = has_writer ? kPatienceWithWriter : kPatience;
  if (std::chrono::steady_clock::now() - silent > patience) {
    fail_read(path, has_writer ? "whoever writes to this pipe is silent" : "nobody writes to this pipe",
              fmt::format("have something written to it within {} s", patience.count()), ExitCode::kBadInput);
  }
  constexpr int kMilliseconds = 20;
  pollfd watched{.fd = file, .events = POLLIN, .revents = 0};
  if (has_writer) {
    ::poll(&watched, 1, kMilliseconds);
  } else {
    ::poll(nullptr, 0, kMilliseconds);  // without a writer the pipe is always "ready", at its end
  }
}

std::string read_to_end(const fs::path& path, int file, const struct stat& status, std::uintmax_t largest) {
  std::string content;
  if (S_ISREG(status.st_mode)) {
    content.reserve(static_cast<std::size_t>(status.st_size));
  }
  std::array<char, kChunk> buffer{};
  auto silent = std::chrono::steady_clock::now();
  for (;;) {
    const ssize_t count = ::read(file, buffer.data(), buffer.size());
    if (count > 0) {
      content.append(buffer.data(), static_cast<std::size_t>(count));
      check_size(path, content.size(), largest);
      silent = std::chrono::steady_clock::now();
    } else if (count == 0 && (!S_ISFIFO(status.st_mode) || !content.empty())) {
      return content;
    } else if (count == 0 || errno == EAGAIN) {
      wait_for_writer(path, file, count < 0, silent);
    } else if (errno != EINTR) {
      fail_read(path, errno);
    }
  }
}

}  // namespace

ExitCode fault_of(int error) {
  constexpr std::array kOfTheMachine = {ENOSPC, EDQUOT, EFBIG,  EIO,    EMFILE, ENFILE,
                                        ENOMEM, EPIPE,  EAGAIN, ENOLCK, ESTALE};
  const bool machine = std::find(kOfTheMachine.begin(), kOfTheMachine.end(), error) != kOfTheMachine.end();
  return machine ? ExitCode::kInternal : ExitCode::kBadInput;
}

const std::vector<FileIdentity>& files_read() {
  return known_files();
}

std::string read_file(const fs::path& path, std::uintmax_t largest) {
  if (path.native().find('\0') != std::string::npos) {
    fail_read(path.c_str(), "a NUL byte stands in its name", "name a readable file", ExitCode::kBadInput);
  }
  // Non-blocking: to open a pipe that has no writer would wait for one for ever.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  struct stat status {};
  if (file.number() < 0 || ::fstat(file.number(), &status) != 0) {
    fail_read(path, errno);
  }
  if (S_ISDIR(status.st_mode)) {
    fail_read(path, "it is a folder", "name a file", ExitCode::kBadInput);
  }
  if (!can_be_read(status, file.number())) {
    fail_read(path, "it is a device", "name a file or a pipe", ExitCode::kBadInput);
  }
  if (S_ISREG(status.st_mode)) {
    check_size(path, static_cast<std::uintmax_t>(status.st_size), largest);
    known_files().emplace_back(status.st_dev, status.st_ino);
  }
  return read_to_end(path, file.number(), status, largest);
}

fs::path home_folder() {
  if (const char* home = std::getenv("TRAINYARD_HOME"); home != nullptr && *home != '\0') {
    return home;
  }
  static const fs::path without_environment = installed_path("share/trainyard").value_or(TRAINYARD_SOURCE_DIR);
  return without_environment;
}

namespace {

// Lower case, words joined by '-'.
std::string plain(std::string_view name) {
  std::string out(name);
  std::transform(out.begin(), out.end(), out.begin(), [](char c) {
    const bool joins = c == '_' || c == ' ';
    return joins ? '-' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return out;
}

// Entries whose plain name is `typed` or, where there is none, has it as words of its own: "h100" is in
// "dgx-h100-sharp".
std::vector<std::string> meant(std::string_view typed, const std::vector<std::string>& names) {
  const std::string wanted = plain(typed);
  std::vector<std::string> same;
  std::vector<std::string> longer;
  for (const std::string& name : names) {
    const std::string candidate = plain(name);
    if (candidate == wanted) {
      same.push_back(name);
    } else if (!wanted.empty() && ("-" + candidate + "-").find("-" + wanted + "-") != std::string::npos) {
      longer.push_back(name);
    }
  }
  return same.empty() ? longer : same;
}

[[noreturn]] void fail_without_catalogues(std::string_view folder) {
  throw UserError({.file = std::getenv("TRAINYARD_HOME") != nullptr ? "TRAINYARD_HOME" : "trainyard's folder",
                   .found = fmt::format("\"{}\"", home_folder().string()),
                   .allowed = fmt::format("a folder that holds {}", folder),
                   .problem = "the folder has no catalogues",
                   .remedy = "set TRAINYARD_HOME to the folder of trainyard's sources or to share/trainyard of an "
                             "installed one, or unset it"});
}

}  // namespace

std::vector<std::string> catalogue_names(std::string_view folder) {
  std::vector<std::string> names;
  std::error_code status;
  if (!fs::is_directory(home_folder() / folder, status)) {
    fail_without_catalogues(folder);
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(home_folder() / folder, status)) {
    if (entry.path().extension() == ".json") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<std::string> name_meant(const std::vector<std::string>& names, std::string_view typed) {
  std::vector<std::string> candidates = meant(typed, names);
  return candidates.size() == 1 ? std::optional(std::move(candidates.front())) : std::nullopt;
}

bool names_file(std::string_view name) {
  return name.find('/') != std::string_view::npos || name.ends_with(".json");
}

fs::path catalogue_path(std::string_view folder, std::string_view what, std::string_view name, std::string_view file,
                        std::string_view pointer) {
  fs::path path = home_folder() / folder / fmt::format("{}.json", name);
  std::error_code status;
  const bool is_name = name.find_first_of(std::string_view("/\0", 2)) == std::string_view::npos;
  if (is_name && fs::is_regular_file(path, status)) {
    return path;
  }
  const std::vector<std::string> names = catalogue_names(folder);
  const std::vector<std::string> candidates = meant(name, names);
  if (candidates.size() == 1) {
    return home_folder() / folder / (candidates.front() + ".json");
  }
  throw UserError(
      {.file = std::string(file),
       .pointer = std::string(pointer),
       .found = fmt::format("\"{}\"", name),
       .allowed = join_names(names),
       .nearest = candidates.empty() ? nearest_name(plain(name), names).value_or("") : join_names(candidates),
       .problem =
           candidates.empty() ? fmt::format("unknown {}", what) : fmt::format("more than one {} is called so", what)});
}

}  // namespace trainyard
