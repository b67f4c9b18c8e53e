// Files that notebooks and pages name are there.
#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path kRoot = TRAINYARD_SOURCE_DIR;

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream out;
  out << file.rdbuf();
  return out.str();
}

// Paths below a room, as "validation/scores.json"; patterns and places for the reader's own files are no names.
std::vector<std::string> named_files(const std::string& text) {
  static const std::regex kPath(
      R"((?:^|[^A-Za-z0-9_/.-])((?:validation|models|kernels|topologies|sim|notebooks|tests)(?:/[A-Za-z0-9_.*<>-]+)+\.(?:md|json|csv|svg|ipynb|cpp|hpp|sh|py))\b)");
  std::vector<std::string> out;
  for (std::sregex_iterator at(text.begin(), text.end(), kPath), end; at != end; ++at) {
    if (const std::string path = at->str(1); path.find_first_of("*<") == std::string::npos) {
      out.push_back(path);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("every file that a notebook or the scoreboard's pages name exists") {
  std::vector<fs::path> pages = {kRoot / "validation/README.md", kRoot / "validation/published/runs/README.md"};
  for (const auto& entry : fs::directory_iterator(kRoot / "notebooks")) {
    if (entry.path().extension() == ".ipynb") {
      pages.push_back(entry.path());
    }
  }
  std::size_t names = 0;
  for (const fs::path& page : pages) {
    for (const std::string& name : named_files(content_of(page))) {
      CAPTURE(page.string());
      CAPTURE(name);
      CHECK(fs::exists(kRoot / name));
      ++names;
    }
  }
  CHECK(names > 8);
  CHECK(named_files("see `validation/scores.json` and sim/*/x.json") ==
        std::vector<std::string>{"validation/scores.json"});
}
