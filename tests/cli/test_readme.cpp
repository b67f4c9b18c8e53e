// What the README and the pages of the rooms tell their readers to type works as written.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/binary.hpp"
#include "tests/tidy/pages.hpp"

using namespace trainyard;

namespace test_readme {

namespace fs = std::filesystem;

namespace {

const fs::path kRoot = TRAINYARD_SOURCE_DIR;

// Indented lines that begin with the launcher, without it. `validate` and `calibrate` take minutes and have tests of
// their own, as `search` and `compare` have; `test` would run this one.
std::vector<std::string> commands(const fs::path& page) {
  const std::regex command(R"(    \./trainyard ((run|scale|memory|show|collective|topology|converge|list) .*))");
  std::istringstream text(content_of(page));
  std::vector<std::string> out;
  for (std::string line; std::getline(text, line);) {
    std::smatch found;
    if (std::regex_match(line, found, command)) {
      out.push_back(found[1]);
    }
  }
  return out;
}

// Files that a command writes go to the scratch folder; those of the tree that it reads are found from anywhere.
std::string redirected(const std::string& command, const fs::path& folder) {
  const std::string written = std::regex_replace(command, std::regex("(--trace|--timeline|--svg|--plot|--csv|--out) "),
                                                 "$1 " + folder.string() + "/");
  return std::regex_replace(written, std::regex(" tests/"), " " + (kRoot / "tests").string() + "/");
}

}  // namespace

TEST_CASE("the commands of the README and of the rooms' pages run") {
  const ScratchFolder scratch;
  std::size_t count = 0;
  for (const fs::path& page : checks::pages_below(kRoot)) {
    for (const std::string& command : commands(page)) {
      const Outcome outcome = trainyard_line(redirected(command, scratch.path));
      CAPTURE(page.string());
      CAPTURE(command);
      CAPTURE(outcome.err);
      CHECK(outcome.code == 0);
      CHECK_FALSE(outcome.out.empty());
      ++count;
    }
  }
  // Two of the README; every room that answers something shows how.
  CHECK(commands(kRoot / "README.md").size() >= 2);
  CHECK(count >= 30);
  CHECK(fs::exists(scratch.path / "step.json.gz"));
  CHECK(fs::exists(scratch.path / "step.svg"));
}

TEST_CASE("the scenario that its room shows runs") {
  const std::string page = content_of(kRoot / "sim" / "scenario" / "README.md");
  const std::string fence = "```json\n";
  const std::size_t begin = page.find(fence);
  REQUIRE(begin != std::string::npos);
  const std::size_t end = page.find("```", begin + fence.size());
  REQUIRE(end != std::string::npos);
  const ScratchFolder scratch;
  const std::string text = page.substr(begin + fence.size(), end - begin - fence.size());
  const Outcome outcome = trainyard_line("run --network analytic " + scratch.file("scenario.json", text));
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
}

}  // namespace test_readme
