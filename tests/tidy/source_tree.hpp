#pragma once
// The tree as the tidy tests see it: which files are source, which room they live in, what they include.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::tidy {

struct SourceFile {
  std::string path;  // relative to the root, with forward slashes
  std::vector<std::string> lines;
};

// Root of the checkout under test.
std::filesystem::path source_root();

// Every source file of the rooms and the tests, and the files at the root, sorted by path. Data (JSON, CSV, Markdown,
// notebooks) and folders whose name starts with a dot are left out, except .ci.
const std::vector<SourceFile>& source_files();

// True for what the compiler reads.
bool is_cpp(std::string_view path);

struct Include {
  std::string target;
  bool is_quoted = false;
};

// The #include lines in order.
std::vector<Include> includes_of(const SourceFile& file);

// The room that a path lies in: "sim/engine", "kernels", "validation/cli", "tests"; empty outside the rooms.
std::string room_of(std::string_view path);

// True when `line` contains `word` with no letter, digit or underscore on either side.
bool has_word(std::string_view line, std::string_view word);

}  // namespace trainyard::tidy
