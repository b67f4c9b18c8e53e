#include "tests/tidy/source_tree.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <iterator>

namespace trainyard::tidy {
namespace fs = std::filesystem;
namespace {

constexpr std::array kFoldersOfSource = {"sim",        "kernels", "models",    "topologies",
                                         "validation", "tests",   "notebooks", ".ci"};
constexpr std::array kSourceSuffixes = {".hpp", ".cpp", ".cu", ".cuh", ".py", ".sh", ".cmake", ".html", ".js", ".css"};

bool is_source(const fs::path& path) {
  const std::string suffix = path.extension().string();
  return path.filename() == "CMakeLists.txt" || path == "trainyard" || path == ".ci/run" ||
         std::find(kSourceSuffixes.begin(), kSourceSuffixes.end(), suffix) != kSourceSuffixes.end();
}

SourceFile read_source(const fs::path& relative) {
  SourceFile file{.path = relative.generic_string(), .lines = {}};
  std::ifstream stream(source_root() / relative);
  for (std::string line; std::getline(stream, line);) {
    file.lines.push_back(line);
  }
  return file;
}

void add_folder(const fs::path& folder, std::vector<SourceFile>& files) {
  for (auto entry = fs::recursive_directory_iterator(folder); entry != fs::recursive_directory_iterator(); ++entry) {
    const std::string name = entry->path().filename().string();
    if (entry->is_directory() && name.starts_with('.')) {
      entry.disable_recursion_pending();
    }
    const fs::path relative = fs::relative(entry->path(), source_root());
    if (entry->is_regular_file() && !name.starts_with('.') && is_source(relative)) {
      files.push_back(read_source(relative));
    }
  }
}

std::vector<SourceFile> read_tree() {
  std::vector<SourceFile> files;
  for (const char* folder : kFoldersOfSource) {
    if (fs::is_directory(source_root() / folder)) {
      add_folder(source_root() / folder, files);
    }
  }
  for (const char* name : {"CMakeLists.txt", "trainyard"}) {
    files.push_back(read_source(name));
  }
  std::sort(files.begin(), files.end(), [](const SourceFile& a, const SourceFile& b) { return a.path < b.path; });
  return files;
}

std::string_view without_leading_blanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text;
}

bool is_word_character(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_';
}

}  // namespace

fs::path source_root() {
  return TRAINYARD_SOURCE_DIR;
}

const std::vector<SourceFile>& source_files() {
  static const std::vector<SourceFile> files = read_tree();
  return files;
}

bool is_cpp(std::string_view path) {
  return path.ends_with(".hpp") || path.ends_with(".cpp") || path.ends_with(".cu") || path.ends_with(".cuh");
}

std::vector<Include> includes_of(const SourceFile& file) {
  std::vector<Include> includes;
  for (std::string_view line : file.lines) {
    line = without_leading_blanks(line);
    if (!line.starts_with('#')) {
      continue;
    }
    line = without_leading_blanks(line.substr(1));
    if (!line.starts_with("include")) {
      continue;
    }
    line = without_leading_blanks(line.substr(std::string_view("include").size()));
    if (line.empty() || (line.front() != '"' && line.front() != '<')) {
      continue;
    }
    const bool is_quoted = line.front() == '"';
    const std::size_t end = line.find(is_quoted ? '"' : '>', 1);
    includes.push_back({.target = std::string(line.substr(1, end - 1)), .is_quoted = is_quoted});
  }
  return includes;
}

std::string room_of(std::string_view path) {
  const std::size_t first = path.find('/');
  if (first == std::string_view::npos) {
    return {};
  }
  // The command line of validation stands above sim/cli, the rest of it below.
  if (path.substr(0, first) != "sim" && !path.starts_with("validation/cli/")) {
    return std::string(path.substr(0, first));
  }
  const std::size_t second = path.find('/', first + 1);
  return second == std::string_view::npos ? std::string{} : std::string(path.substr(0, second));
}

bool has_word(std::string_view line, std::string_view word) {
  for (std::size_t at = line.find(word); at != std::string_view::npos; at = line.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    const bool starts = at == 0 || !is_word_character(line[at - 1]);
    const bool ends = end == line.size() || !is_word_character(line[end]);
    if (starts && ends) {
      return true;
    }
  }
  return false;
}

}  // namespace trainyard::tidy
