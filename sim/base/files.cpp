#include "sim/base/files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "sim/base/error.hpp"
#include "sim/base/name_table.hpp"

namespace trainyard {
namespace fs = std::filesystem;
namespace {

constexpr std::uintmax_t kLargestFile = std::uintmax_t{1} << 30U;

std::string temporary_name(const fs::path& path) {
  return fmt::format("{}.{}.tmp", path.string(), ::getpid());
}

[[noreturn]] void fail_write(const fs::path& path, int error) {
  throw UserError({.file = path.string(),
                   .problem = fmt::format("cannot write the file ({})", std::strerror(error)),
                   .remedy = "name a file in a folder that exists and is writable"});
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::error_code status;
  const bool is_folder = fs::is_directory(path, status);
  std::ifstream stream(path, std::ios::binary);
  if (is_folder || !stream) {
    const std::string reason = is_folder ? "it is a folder" : std::strerror(errno);
    throw UserError({.file = path.string(),
                     .problem = fmt::format("cannot read the file ({})", reason),
                     .remedy = "name a readable file"});
  }
  const std::uintmax_t size = fs::file_size(path, status);
  if (!status && size > kLargestFile) {
    throw UserError({.file = path.string(), .problem = "the file is larger than 1 GiB"});
  }
  std::ostringstream content;
  content << stream.rdbuf();
  return std::move(content).str();
}

void write_file(const fs::path& path, std::string_view content) {
  const std::string temporary = temporary_name(path);
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) {
    fail_write(path, errno);
  }
  const auto abandon = [&](int error) {
    ::close(file);
    ::unlink(temporary.c_str());
    fail_write(path, error);
  };
  while (!content.empty()) {
    const ssize_t written = ::write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) {
      continue;
    }
    if (written < 0) {
      abandon(errno);
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file) != 0 && errno != EINVAL) {
    abandon(errno);
  }
  ::close(file);
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    fail_write(path, error);
  }
}

void check_writable(const fs::path& path) {
  std::error_code status;
  if (fs::is_directory(path, status)) {
    fail_write(path, EISDIR);
  }
  const std::string temporary = temporary_name(path);
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    fail_write(path, errno);
  }
  ::close(file);
  ::unlink(temporary.c_str());
}

fs::path home_folder() {
  if (const char* home = std::getenv("TRAINYARD_HOME"); home != nullptr && *home != '\0') {
    return home;
  }
  return TRAINYARD_SOURCE_DIR;
}

std::vector<std::string> catalogue_names(std::string_view folder) {
  std::vector<std::string> names;
  std::error_code status;
  for (const fs::directory_entry& entry : fs::directory_iterator(home_folder() / folder, status)) {
    if (entry.path().extension() == ".json") {
      names.push_back(entry.path().stem().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

fs::path catalogue_path(std::string_view folder, std::string_view what, std::string_view name, std::string_view file,
                        std::string_view pointer) {
  fs::path path = home_folder() / folder / fmt::format("{}.json", name);
  std::error_code status;
  if (name.find_first_of(std::string_view("/\0", 2)) != std::string_view::npos || !fs::is_regular_file(path, status)) {
    const std::vector<std::string> names = catalogue_names(folder);
    throw UserError({.file = std::string(file),
                     .pointer = std::string(pointer),
                     .found = fmt::format("\"{}\"", name),
                     .allowed = join_names(names),
                     .nearest = nearest_name(name, names).value_or(""),
                     .problem = fmt::format("unknown {}", what)});
  }
  return path;
}

}  // namespace trainyard
