#include "sim/base/installed.hpp"

#include <system_error>

namespace trainyard {
namespace fs = std::filesystem;

std::optional<fs::path> installed_path(std::string_view relative) {
  std::error_code status;
  const fs::path program = fs::read_symlink("/proc/self/exe", status);  // links to it are followed
  fs::path path = program.parent_path().parent_path() / relative;
  if (status || program.parent_path().filename() != "bin" || !fs::exists(path, status)) {
    return std::nullopt;
  }
  return path;
}

}  // namespace trainyard
