// Sources compile in batches, so what one has to itself hides a namesake of a header from the sources after it, without
// a word of the compiler: a constant of another value would do. A function of other parameters does not compile where
// the hidden one is meant, so functions are looked for in the headers of the room alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.hpp"

using namespace trainyard::tidy;

namespace test_internal_names {

namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

std::string_view last_word(std::string_view text) {
  while (!text.empty() && !is_word(text.back())) {
    text.remove_suffix(1);
  }
  std::size_t begin = text.size();
  while (begin > 0 && is_word(text[begin - 1])) {
    --begin;
  }
  // A member of a class or of another namespace is not the room's own.
  return begin > 1 && text[begin - 1] == ':' ? std::string_view() : text.substr(begin);
}

bool is_constant(std::string_view name) {
  return name.size() > 1 && name[0] == 'k' && std::isupper(static_cast<unsigned char>(name[1])) != 0;
}

// The function, constant or type that a line in the first column declares; empty when it is something else.
std::string_view declared_name(std::string_view line) {
  constexpr std::array<std::string_view, 8> kOthers = {"namespace", "using namespace", "template", "TEST_CASE",
                                                       "public",    "private",         "extern",   "static_assert"};
  if (line.empty() || std::isalpha(static_cast<unsigned char>(line[0])) == 0 ||
      std::any_of(kOthers.begin(), kOthers.end(), [&](std::string_view other) { return line.starts_with(other); })) {
    return {};
  }
  for (const std::string_view kind : {"struct ", "class ", "enum class "}) {
    if (line.starts_with(kind)) {
      const std::size_t end = line.find_first_of(" ;:{<", kind.size());
      return line.ends_with(";") && line.find('{') == std::string_view::npos
                 ? std::string_view()
                 : line.substr(kind.size(), end == std::string_view::npos ? end : end - kind.size());
    }
  }
  const std::size_t end = line.find_first_of("({=[;");
  const std::string_view head = line.substr(0, end);
  if (end == std::string_view::npos || head.find(' ') == std::string_view::npos) {
    return {};
  }
  const std::string_view name = last_word(head);
  return line[end] == '(' || is_constant(name) || line.starts_with("using ") ? name : std::string_view();
}

bool compiles_in_batches(const SourceFile& file) {
  return is_cpp(file.path) && !file.path.starts_with("tests/") && !file.path.starts_with("validation/microbench/");
}

// What a source has in its unnamed namespaces.
std::vector<std::string> internal_names(const SourceFile& source) {
  std::vector<std::string> names;
  bool inside = false;
  for (const std::string& line : source.lines) {
    if (line == "namespace {") {
      inside = true;
    } else if (line == "}  // namespace") {
      inside = false;
    } else if (const std::string_view name = declared_name(line); inside && !name.empty()) {
      names.emplace_back(name);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("a line's declaration is known by its name") {
  CHECK(declared_name("constexpr std::size_t kFewestRows = 6;") == "kFewestRows");
  CHECK(declared_name("inline constexpr NameTable<Unit, 3> kUnitNames{") == "kUnitNames");
  CHECK(declared_name("Bytes rounded(Bytes size) {") == "rounded");
  CHECK(declared_name("Screen::Members Screen::members_of(const Parallelism& layout) {").empty());
  CHECK(declared_name("struct Place {") == "Place");
  CHECK(declared_name("struct Place;").empty());
  CHECK(declared_name("using Hash = std::uint64_t;") == "Hash");
  CHECK(declared_name("  double total = 0.0;").empty());
  CHECK(declared_name("namespace {").empty());
}

TEST_CASE("what a source has to itself bears the name of nothing that a header declares") {
  std::multimap<std::string, std::string, std::less<>> declared;
  std::multimap<std::string, std::string, std::less<>> functions;
  for (const SourceFile& file : source_files()) {
    if (compiles_in_batches(file) && file.path.ends_with(".hpp")) {
      for (const std::string& line : file.lines) {
        if (const std::string_view name = declared_name(line); !name.empty()) {
          (std::isupper(static_cast<unsigned char>(name[0])) != 0 || is_constant(name) ? declared : functions)
              .emplace(name, file.path);
        }
      }
    }
  }
  CHECK(declared.size() > 300);
  CHECK(functions.size() > 500);
  for (const SourceFile& file : source_files()) {
    if (compiles_in_batches(file) && file.path.ends_with(".cpp")) {
      for (const std::string& name : internal_names(file)) {
        const auto header = declared.find(name);
        CHECK_MESSAGE(header == declared.end(), file.path << " hides " << name);
        const auto [first, last] = functions.equal_range(name);
        const bool is_hidden =
            std::any_of(first, last, [&](const auto& entry) { return room_of(entry.second) == room_of(file.path); });
        CHECK_MESSAGE(!is_hidden, file.path << " hides " << name);
      }
    }
  }
}

}  // namespace test_internal_names
