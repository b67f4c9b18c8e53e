#include "sim/base/effort.hpp"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <optional>
#include <string>

#include "sim/base/quantity_text.hpp"

namespace trainyard {
namespace fs = std::filesystem;
namespace {

constexpr double kUnknown = std::numeric_limits<double>::infinity();
// A computation may take what is there but for this share: pages of files, and others on the machine.
constexpr double kLeftOver = 0.1;

bool& limit_is_lifted() {
  static bool lifted = false;
  return lifted;
}

double& most_events() {
  static double most = kMostEvents;
  return most;
}

// The number after a word in a file of lines as "MemAvailable:  123 kB" or "inactive_file 123".
std::optional<double> number_after(const fs::path& path, const std::string& word) {
  std::ifstream stream(path);
  std::string found;
  while (stream >> found) {
    double value = 0.0;
    if (found == word && stream >> value) {
      return value;
    }
  }
  return std::nullopt;
}

std::optional<double> number_in(const fs::path& path) {
  std::ifstream stream(path);
  double value = 0.0;
  return stream >> value ? std::optional(value) : std::nullopt;
}

// What one control group leaves: its limit less what it uses, but for pages of files that it can give back.
double left_in(const fs::path& group, const char* limit, const char* use, const char* inactive) {
  const auto most = number_in(group / limit);
  const auto used = number_in(group / use);
  return most && used ? *most - *used + number_after(group / "memory.stat", inactive).value_or(0.0) : kUnknown;
}

// Control groups nest, and the tightest binds. Sources: docs.kernel.org/admin-guide/cgroup-v2.html (memory.max),
// cgroup-v1/memory.html (memory.limit_in_bytes).
double left_in_control_groups() {
  double left = kUnknown;
  std::ifstream lines("/proc/self/cgroup");
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool is_second = controllers.empty();
    if (!is_second && controllers.find("memory") == std::string::npos) {
      continue;
    }
    const fs::path root = is_second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    // In a container the path may be the host's, which is not there: then the root is the container's own.
    for (fs::path path = line.substr(second + 1);; path = path.parent_path()) {
      const fs::path group = root / path.relative_path();
      left = std::min(
          left, is_second ? left_in(group, "memory.max", "memory.current", "inactive_file")
                          : left_in(group, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"));
      if (path == path.parent_path()) {
        break;
      }
    }
  }
  return left;
}

double left_of_limit(decltype(RLIMIT_AS) which, const char* used) {
  constexpr double kKilo = 1024.0;
  struct rlimit limit {};
  if (::getrlimit(which, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return kUnknown;
  }
  return static_cast<double>(limit.rlim_cur) - kKilo * number_after("/proc/self/status", used).value_or(0.0);
}

}  // namespace

double available_memory() {
  constexpr double kKilo = 1024.0;
  const auto machine = number_after("/proc/meminfo", "MemAvailable:");
  const double left = std::min({machine ? kKilo * *machine : kUnknown, left_in_control_groups(),
                                left_of_limit(RLIMIT_AS, "VmSize:"), left_of_limit(RLIMIT_DATA, "VmData:")});
  return std::max(0.0, left);
}

void limit_effort(double most) {
  most_events() = std::min(most_events(), most);
}

void lift_effort_limit() {
  limit_is_lifted() = true;
}

void require_effort(const Effort& needed, Fault where) {
  constexpr double kNotWorthAsking = 64.0 * 1048576.0;
  if (limit_is_lifted()) {
    return;
  }
  if (!(needed.events <= most_events())) {
    where.found = fmt::format("about {:.3g} events", needed.events);
    where.allowed = fmt::format("{:.3g} events{}; --no-limit tries all the same", most_events(),
                                most_events() < kMostEvents ? "" : " (a minute or two)");
    where.problem = where.problem.empty() ? "the computation would run away" : where.problem;
    throw UserError(where);
  }
  if (needed.bytes <= kNotWorthAsking) {
    return;
  }
  const double available = available_memory() * (1.0 - kLeftOver);
  if (!(needed.bytes <= available)) {
    where.found = fmt::format("about {}", to_text(Bytes{needed.bytes}));
    where.allowed =
        fmt::format("{} that this process may still take; --no-limit tries all the same", to_text(Bytes{available}));
    where.problem = where.problem.empty() ? "the computation would not fit in memory" : where.problem;
    throw UserError(where);
  }
}

}  // namespace trainyard
