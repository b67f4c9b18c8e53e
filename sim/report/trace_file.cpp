#include "sim/report/trace_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr unsigned kBuffer = 1U << 18U;

// Level 4 writes twice as fast as the default and 15 % larger; T leaves the text as it is.
const char* mode_for(const std::filesystem::path& path) {
  return path.extension() == ".gz" ? "wb4e" : "wbTe";
}

}  // namespace

TraceFile::TraceFile(std::filesystem::path path)
    : path_(std::move(path)), temporary_(fmt::format("{}.{}.tmp", path_.string(), ::getpid())) {
  errno = 0;
  file_.reset(gzopen(temporary_.c_str(), mode_for(path_)));
  if (!file_) {
    fail(errno);
  }
  gzbuffer(file_.get(), kBuffer);
}

TraceFile::~TraceFile() {
  if (!temporary_.empty()) {
    file_.reset();
    std::remove(temporary_.c_str());
  }
}

void TraceFile::write(std::string_view text) {
  if (!text.empty() && gzwrite(file_.get(), text.data(), static_cast<unsigned>(text.size())) == 0) {
    fail(errno);
  }
}

void TraceFile::finish() {
  if (gzclose(file_.release()) != Z_OK || std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    fail(errno);
  }
  temporary_.clear();
}

void TraceFile::fail(int error) const {
  throw UserError({.file = path_.string(),
                   .problem = fmt::format("cannot write the file ({})", std::strerror(error)),
                   .remedy = "name a file in a folder that exists, is writable and has room"});
}

}  // namespace trainyard
