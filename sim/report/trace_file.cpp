#include "sim/report/trace_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace trainyard {
namespace {

constexpr unsigned kBuffer = 1U << 18U;

// Level 4 writes twice as fast as the default and 15 % larger; T leaves the text as it is.
const char* mode_for(const std::filesystem::path& path) {
  return path.extension() == ".gz" ? "wb4" : "wbT";
}

}  // namespace

// zlib closes the descriptor that it is given.
TraceFile::TraceFile(const std::filesystem::path& path) : output_(path) {
  const int own = ::fcntl(output_.descriptor(), F_DUPFD_CLOEXEC, 0);
  if (own < 0) {
    output_.fail(errno);
  }
  file_.reset(gzdopen(own, mode_for(path)));
  if (!file_) {
    ::close(own);
    output_.fail(ENOMEM);
  }
  gzbuffer(file_.get(), kBuffer);
}

void TraceFile::write(std::string_view text) {
  errno = 0;
  if (!text.empty() && gzwrite(file_.get(), text.data(), static_cast<unsigned>(text.size())) == 0) {
    output_.fail(errno != 0 ? errno : EIO);
  }
}

void TraceFile::finish() {
  errno = 0;
  if (gzclose(file_.release()) != Z_OK) {
    output_.fail(errno != 0 ? errno : EIO);
  }
  output_.commit();
}

}  // namespace trainyard
