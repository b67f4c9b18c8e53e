// The shape of single files: length, unfinished work, header beside source, what lies at the root.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "tests/tidy/source_tree.hpp"

using namespace trainyard::tidy;

namespace test_shape {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kMostLines = 400;

// Spelled in halves, so that this file may be checked too.
constexpr std::array<std::string_view, 3> kUnfinishedWork = {
    "TO"
    "DO",
    "FIX"
    "ME",
    "XX"
    "X"};

constexpr std::array<std::string_view, 12> kRootEntries = {
    "CMakeLists.txt", "CMakePresets.json", "sim",       "models",  "topologies", "kernels", "validation",
    "tests",          "notebooks",         "README.md", "LICENSE", "trainyard"};

bool is_unfinished(std::string_view line) {
  return std::any_of(kUnfinishedWork.begin(), kUnfinishedWork.end(),
                     [&](std::string_view word) { return has_word(line, word); });
}

// The function whose definition starts on this line, without its class; empty when the line is something else.
// Definitions start in the first column.
std::string defined_function(std::string_view line) {
  const std::size_t parenthesis = line.find('(');
  if (line.empty() || parenthesis == std::string_view::npos || std::isalpha(static_cast<unsigned char>(line[0])) == 0) {
    return {};
  }
  const std::string_view head = line.substr(0, parenthesis);
  const std::size_t separator = head.find_last_of(" :*&~");
  return separator == std::string_view::npos ? std::string{} : std::string(head.substr(separator + 1));
}

bool declares(const SourceFile& header, const std::string& function) {
  return std::any_of(header.lines.begin(), header.lines.end(), [&](const std::string& line) {
    return has_word(line, function) && line.find(function + "(") != std::string::npos;
  });
}

// A row of a table: "extern const Row kName;" in the header, "constinit const Row rows::kName{" in the file.
bool defines_row_of(const SourceFile& header, const SourceFile& source) {
  constexpr std::string_view kDeclared = "extern const ";
  return std::any_of(header.lines.begin(), header.lines.end(), [&](const std::string& declaration) {
    if (!declaration.starts_with(kDeclared) || !declaration.ends_with(";")) {
      return false;
    }
    const std::size_t space = declaration.find_last_of(' ');
    const std::string name = declaration.substr(space + 1, declaration.size() - space - 2);
    return std::any_of(source.lines.begin(), source.lines.end(), [&](const std::string& line) {
      return line.starts_with("constinit const ") && has_word(line, name);
    });
  });
}

// Several files may keep the promises of one header (a table's variants, a family of functions): a header of the same
// folder declares a function or a row that the file defines.
bool keeps_promise_of_neighbour(const SourceFile& source) {
  const fs::path folder = fs::path(source.path).parent_path();
  for (const SourceFile& header : source_files()) {
    const bool is_header = header.path.ends_with(".hpp") || header.path.ends_with(".cuh");
    if (!is_header || fs::path(header.path).parent_path() != folder) {
      continue;
    }
    if (defines_row_of(header, source)) {
      return true;
    }
    for (const std::string& line : source.lines) {
      const std::string function = defined_function(line);
      if (!function.empty() && declares(header, function)) {
        return true;
      }
    }
  }
  return false;
}

bool is_main_or_test(const fs::path& source) {
  const std::string name = source.filename().string();
  return name == "main.cpp" || name.starts_with("test_") || name.starts_with("bench_");
}

// The entries at the root that git tracks; empty where there is no git or no checkout.
std::set<std::string> tracked_root_entries() {
  const std::string command =
      "git -c safe.directory='*' -C '" + source_root().string() + "' ls-files --full-name 2>/dev/null";
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::set<std::string> entries;
  std::string path;
  for (int character = std::fgetc(pipe.get()); character != EOF; character = std::fgetc(pipe.get())) {
    if (character == '\n') {
      entries.insert(path.substr(0, path.find('/')));
      path.clear();
    } else {
      path.push_back(static_cast<char>(character));
    }
  }
  return entries;
}

}  // namespace

TEST_CASE("a word is found as a word only") {
  CHECK(has_word("a label: here", "label"));
  CHECK(has_word("label", "label"));
  CHECK_FALSE(has_word("labels", "label"));
  CHECK_FALSE(has_word("a_label", "label"));
  CHECK(has_word("labels label", "label"));
}

TEST_CASE("the function that a line starts to define is known by its name") {
  CHECK(defined_function("NodeShape make_mesh_node(const JsonReader& node) {") == "make_mesh_node");
  CHECK(defined_function("void OperatorList::norm_forward(std::string_view name) {") == "norm_forward");
  CHECK(defined_function("const Row* find(int a,") == "find");
  CHECK(defined_function("  return find(a);").empty());
  CHECK(defined_function("// find(a) finds").empty());
  CHECK(defined_function("namespace {").empty());
}

TEST_CASE("no source file is longer than a person reads") {
  for (const SourceFile& file : source_files()) {
    CAPTURE(file.path);
    CHECK(file.lines.size() <= kMostLines);
  }
}

TEST_CASE("no source file announces unfinished work") {
  REQUIRE(is_unfinished(std::string("// TO") + "DO: later"));
  for (const SourceFile& file : source_files()) {
    for (std::size_t line = 0; line < file.lines.size(); ++line) {
      CAPTURE(file.path);
      CAPTURE(line + 1);
      CHECK_FALSE(is_unfinished(file.lines[line]));
    }
  }
}

TEST_CASE("every source file has its header beside it or keeps the promise of a neighbour, tests and mains aside") {
  std::size_t count = 0;
  for (const SourceFile& file : source_files()) {
    const fs::path path = file.path;
    if (path.extension() == ".cpp" && !is_main_or_test(path)) {
      ++count;
      const fs::path header = source_root() / fs::path(path).replace_extension(".hpp");
      const fs::path cuda_header = source_root() / fs::path(path).replace_extension(".cuh");
      CAPTURE(file.path);
      CHECK((fs::is_regular_file(header) || fs::is_regular_file(cuda_header) || keeps_promise_of_neighbour(file)));
    }
  }
  CHECK(count > 0);
}

TEST_CASE("the root of the tree holds the rooms and nothing else") {
  const std::set<std::string> entries = tracked_root_entries();
  if (entries.empty()) {
    MESSAGE("not a git checkout, or no git: what lies at the root is not checked");
    return;
  }
  for (const std::string& entry : entries) {
    CAPTURE(entry);
    CHECK((entry.starts_with('.') || std::find(kRootEntries.begin(), kRootEntries.end(), entry) != kRootEntries.end()));
  }
}

}  // namespace test_shape
