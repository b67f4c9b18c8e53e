// Reads every include and fails on an arrow that the plan of the house does not have.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>

#include "tests/tidy/source_tree.hpp"

using namespace trainyard::tidy;

namespace test_rooms {

namespace fs = std::filesystem;

namespace {

struct RoomRule {
  std::string_view room;
  std::string_view may_include;  // the nearest rooms below; what those may include, this room may too
};

// In the order of the pipe: a room names only rooms above it in this table, so nothing flows back up.
constexpr std::array<RoomRule, 23> kRooms = {{
    {"sim/base", ""},
    {"kernels", "sim/base"},
    {"models", "sim/base"},
    {"topologies", "sim/base"},
    {"sim/schedules", "sim/base"},
    {"sim/scenario", "sim/schedules sim/base kernels models topologies"},
    {"sim/layout", "sim/scenario sim/schedules models"},
    {"sim/memory", "sim/layout"},
    {"sim/collectives", "topologies"},
    {"sim/program", "sim/memory kernels"},
    {"sim/engine", "sim/program sim/collectives topologies"},
    {"sim/updates", "sim/engine"},
    {"sim/report", "sim/engine"},
    {"sim/predict", "sim/report sim/updates"},
    {"sim/studies", "sim/predict"},
    {"sim/learning", "sim/updates"},
    {"sim/cli", "sim/studies sim/learning"},
    {"sim/python", "sim/studies"},
    {"validation", "sim/predict"},
    {"validation/cli", "validation sim/cli"},
    {"notebooks", "sim/python"},
    {"tests", "sim/python validation/cli tests"},
    {".ci", ""},
}};

const RoomRule* find_rule(std::string_view room) {
  const auto* rule = std::find_if(kRooms.begin(), kRooms.end(), [&](const RoomRule& r) { return r.room == room; });
  return rule == kRooms.end() ? nullptr : rule;
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

bool may_include(std::string_view from, std::string_view to) {
  if (from == to) {
    return true;
  }
  const RoomRule* rule = find_rule(from);
  if (rule == nullptr) {
    return false;
  }
  const std::vector<std::string> below = words_of(rule->may_include);
  return std::any_of(below.begin(), below.end(),
                     [&](const std::string& room) { return room != from && may_include(room, to); });
}

bool is_simgrid_header(std::string_view target) {
  return target.starts_with("simgrid/") || target.starts_with("xbt/") || target.starts_with("smpi/");
}

}  // namespace

TEST_CASE("the table of rooms has no arrow that points up") {
  for (std::size_t row = 0; row < kRooms.size(); ++row) {
    for (const std::string& room : words_of(kRooms[row].may_include)) {
      const RoomRule* rule = find_rule(room);
      CAPTURE(kRooms[row].room);
      CAPTURE(room);
      REQUIRE(rule != nullptr);
      CHECK((rule < &kRooms[row] || rule->room == kRooms[row].room));
    }
  }
}

TEST_CASE("the table of rooms allows the arrows of the plan and no others") {
  CHECK(may_include("sim/scenario", "kernels"));
  CHECK(may_include("sim/layout", "sim/base"));
  CHECK(may_include("sim/engine", "models"));
  CHECK(may_include("validation/cli", "sim/cli"));
  CHECK(may_include("tests", "sim/base"));
  CHECK_FALSE(may_include("sim/base", "kernels"));
  CHECK_FALSE(may_include("kernels", "models"));
  CHECK_FALSE(may_include("models", "topologies"));
  CHECK_FALSE(may_include("sim/layout", "sim/collectives"));
  CHECK_FALSE(may_include("sim/layout", "sim/memory"));
  CHECK_FALSE(may_include("sim/memory", "sim/program"));
  CHECK_FALSE(may_include("sim/collectives", "sim/layout"));
  CHECK_FALSE(may_include("sim/collectives", "models"));
  CHECK_FALSE(may_include("sim/program", "sim/collectives"));
  CHECK_FALSE(may_include("sim/engine", "sim/report"));
  CHECK_FALSE(may_include("sim/schedules", "sim/scenario"));
  CHECK_FALSE(may_include("sim/cli", "validation"));
  CHECK_FALSE(may_include("validation", "sim/cli"));
  CHECK_FALSE(may_include("sim/cli", "sim/python"));
}

TEST_CASE("every source file lies in a room of the table") {
  for (const SourceFile& file : source_files()) {
    const std::string room = room_of(file.path);
    const bool is_outside_the_rooms = room.empty();
    CAPTURE(file.path);
    CHECK((is_outside_the_rooms || find_rule(room) != nullptr));
    CHECK((!is_outside_the_rooms || !is_cpp(file.path)));
  }
}

TEST_CASE("every include in quotes names a file of this tree from its root") {
  std::size_t count = 0;
  for (const SourceFile& file : source_files()) {
    for (const Include& include : includes_of(file)) {
      if (is_cpp(file.path) && include.is_quoted) {
        ++count;
        CAPTURE(file.path);
        CAPTURE(include.target);
        CHECK(fs::is_regular_file(source_root() / include.target));
      }
    }
  }
  CHECK(count > 0);  // a walk that found nothing would agree with everything
}

TEST_CASE("every include between rooms follows the plan of the house") {
  for (const SourceFile& file : source_files()) {
    for (const Include& include : includes_of(file)) {
      if (is_cpp(file.path) && include.is_quoted) {
        CAPTURE(file.path);
        CAPTURE(include.target);
        CHECK(may_include(room_of(file.path), room_of(include.target)));
      }
    }
  }
}

TEST_CASE("a room's header is included in quotes, so that the plan sees it") {
  for (const SourceFile& file : source_files()) {
    for (const Include& include : includes_of(file)) {
      CAPTURE(file.path);
      CAPTURE(include.target);
      CHECK_FALSE((!include.is_quoted && find_rule(room_of(include.target)) != nullptr));
    }
  }
}

TEST_CASE("SimGrid is spoken to in sim/engine alone") {
  for (const SourceFile& file : source_files()) {
    for (const Include& include : includes_of(file)) {
      if (is_simgrid_header(include.target)) {
        CAPTURE(include.target);
        CHECK_MESSAGE(room_of(file.path) == "sim/engine", file.path);
      }
    }
  }
}

}  // namespace test_rooms
