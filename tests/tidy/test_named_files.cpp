// Files that notebooks and pages name are there.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/tidy/pages.hpp"

namespace test_named_files {

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

// What a page links to, places within pages left out: "../models/README.md" of "[keys](../models/README.md#keys)".
std::vector<std::string> links(const std::string& text) {
  static const std::regex kLink(R"(\]\(([^)\s]+)\))");
  std::vector<std::string> out;
  for (std::sregex_iterator at(text.begin(), text.end(), kLink), end; at != end; ++at) {
    const std::string target = at->str(1);
    if (const std::string path = target.substr(0, target.find('#')); path.find("://") == std::string::npos) {
      out.push_back(path);
    }
  }
  return out;
}

// Those whose text is their own: the scoreboard's is written, and other tables' READMEs name files of their sources.
bool is_own(const fs::path& page) {
  const bool is_published = page.string().find("/published/") != std::string::npos;
  return !is_published || page == kRoot / "validation/published/runs/README.md";
}

}  // namespace

TEST_CASE("every file that a notebook or a page names exists") {
  std::vector<fs::path> pages = trainyard::checks::pages_below(kRoot);
  std::erase_if(pages, [](const fs::path& page) { return !is_own(page); });
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
  CHECK(names > 50);
  CHECK(named_files("see `validation/scores.json` and sim/*/x.json") ==
        std::vector<std::string>{"validation/scores.json"});
}

TEST_CASE("what pages link to exists") {
  std::size_t count = 0;
  for (const fs::path& page : trainyard::checks::pages_below(kRoot)) {
    for (const std::string& link : links(content_of(page))) {
      CAPTURE(page.string());
      CAPTURE(link);
      CHECK((link.empty() || fs::exists(page.parent_path() / link)));
      ++count;
    }
  }
  CHECK(count > 50);
  CHECK(links("[keys](../models/README.md#keys), [here](#below), [there](https://ui.perfetto.dev)") ==
        std::vector<std::string>{"../models/README.md", ""});
}

}  // namespace test_named_files
