#pragma once
// The README and the pages of the rooms.
#include <algorithm>
#include <filesystem>
#include <vector>

namespace trainyard::checks {

// In the order of their paths.
inline std::vector<std::filesystem::path> pages_below(const std::filesystem::path& root) {
  std::vector<std::filesystem::path> out = {root / "README.md"};
  for (const char* room : {"kernels", "models", "sim", "topologies", "validation"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / room)) {
      if (entry.path().extension() == ".md") {
        out.push_back(entry.path());
      }
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace trainyard::checks
