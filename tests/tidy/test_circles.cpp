// Nothing leads back to where it began: neither between folders of source files nor between units. What CMake links is
// what the files include.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <string_view>

#include "tests/tidy/source_tree.hpp"

using namespace trainyard::tidy;

namespace test_circles {

namespace fs = std::filesystem;

namespace {

using Arrows = std::map<std::string, std::set<std::string>>;

std::string folder_of(const std::string& path) {
  return fs::path(path).parent_path().string();
}

// A header with the source beside it.
std::string unit_of(const std::string& path) {
  return fs::path(path).replace_extension().string();
}

bool is_of_a_room(const std::string& path) {
  const std::string room = room_of(path);
  return is_cpp(path) && !room.empty() && room != "tests";
}

template <class Group>
Arrows arrows_between(Group group) {
  Arrows out;
  for (const SourceFile& file : source_files()) {
    for (const Include& include : includes_of(file)) {
      if (is_of_a_room(file.path) && include.is_quoted && group(file.path) != group(include.target)) {
        out[group(file.path)].insert(group(include.target));
      }
    }
  }
  return out;
}

std::set<std::string> reached_from(const Arrows& arrows, const std::string& start) {
  std::set<std::string> seen;
  std::vector<std::string> open = {start};
  while (!open.empty()) {
    const auto found = arrows.find(open.back());
    open.pop_back();
    for (const std::string& next : found == arrows.end() ? std::set<std::string>{} : found->second) {
      if (seen.insert(next).second) {
        open.push_back(next);
      }
    }
  }
  return seen;
}

// Those that lead back to themselves.
std::vector<std::string> on_circles(const Arrows& arrows) {
  std::vector<std::string> out;
  for (const auto& [from, to] : arrows) {
    if (reached_from(arrows, from).contains(from)) {
      out.push_back(from);
    }
  }
  return out;
}

struct Target {
  std::string room;  // its folder
  std::set<std::string> uses;
};

// As the calls of trainyard_room in the file say.
void read_targets(const fs::path& file, std::map<std::string, Target>& out) {
  static const std::regex call(R"(trainyard_room\((\w+) ([\w/]+)([^)]*)\))");
  static const std::regex used(R"(trainyard_(\w+))");
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  for (std::sregex_iterator at(text.begin(), text.end(), call), end; at != end; ++at) {
    Target& target = out[(*at)[1]];
    target.room = (*at)[2];
    const std::string rest = (*at)[3];
    for (std::sregex_iterator use(rest.begin(), rest.end(), used); use != end; ++use) {
      target.uses.insert((*use)[1]);
    }
  }
}

// The rooms' targets by name.
std::map<std::string, Target> cmake_targets() {
  std::map<std::string, Target> out;
  for (const std::string_view top : {"sim", "kernels", "models", "topologies", "validation"}) {
    for (const auto& entry : fs::recursive_directory_iterator(source_root() / top)) {
      if (entry.path().filename() == "CMakeLists.txt") {
        read_targets(entry.path(), out);
      }
    }
  }
  return out;
}

}  // namespace

TEST_CASE("circles are found") {
  CHECK(on_circles({{"a", {"b"}}, {"b", {"c"}}, {"c", {"b"}}}) == std::vector<std::string>{"b", "c"});
  CHECK(on_circles({{"a", {"b", "c"}}, {"b", {"c"}}}).empty());
}

TEST_CASE("no folder of source files includes one that includes it") {
  const Arrows arrows = arrows_between(folder_of);
  CHECK(arrows.size() > 10);
  CHECK(on_circles(arrows) == std::vector<std::string>{});
}

TEST_CASE("no unit includes one that includes it") {
  const Arrows arrows = arrows_between(unit_of);
  CHECK(arrows.size() > 100);
  CHECK(on_circles(arrows) == std::vector<std::string>{});
}

TEST_CASE("a target links what its files include, and nothing that they do not lead to") {
  const std::map<std::string, Target> targets = cmake_targets();
  const Arrows includes = arrows_between(room_of);
  Arrows links;
  for (const auto& [name, target] : targets) {
    for (const std::string& used : target.uses) {
      CAPTURE(name);
      REQUIRE(targets.contains(used));
      links[target.room].insert(targets.at(used).room);
    }
  }
  CHECK(targets.size() > 10);
  for (const auto& [name, target] : targets) {
    // The microbenchmark suite is a program of its own within validation.
    if (target.room == "validation/microbench") {
      continue;
    }
    const std::set<std::string> linked = reached_from(links, target.room);
    const auto included = includes.find(target.room);
    const std::set<std::string> direct = included == includes.end() ? std::set<std::string>{} : included->second;
    const std::set<std::string> led_to = reached_from(includes, target.room);
    CAPTURE(target.room);
    for (const std::string& room : direct) {
      CHECK_MESSAGE(linked.contains(room), "includes " << room << ", which CMake does not link");
    }
    for (const std::string& used : target.uses) {
      const std::string& room = targets.at(used).room;
      CHECK_MESSAGE(led_to.contains(room), "links " << room << ", which no include leads to");
    }
  }
}

}  // namespace test_circles
