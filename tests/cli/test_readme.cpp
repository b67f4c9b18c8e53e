// What the README tells its readers to type works as written.
#include <doctest/doctest.h>

#include <filesystem>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cli/binary.hpp"

using namespace trainyard;
namespace fs = std::filesystem;

namespace {

// Indented lines that begin with the launcher, without it. `validate` and `calibrate` take minutes and have tests of
// their own; `test` would run this one.
std::vector<std::string> commands() {
  const std::regex command(R"(    \./trainyard ((run|memory|collective|topology|list) .*))");
  std::istringstream readme(content_of(fs::path(TRAINYARD_SOURCE_DIR) / "README.md"));
  std::vector<std::string> out;
  for (std::string line; std::getline(readme, line);) {
    std::smatch found;
    if (std::regex_match(line, found, command)) {
      out.push_back(found[1]);
    }
  }
  return out;
}

// Files that a command writes go to the scratch folder.
std::string redirected(const std::string& command, const fs::path& folder) {
  return std::regex_replace(command, std::regex("(--trace|--timeline|--svg|--plot) "), "$1 " + folder.string() + "/");
}

}  // namespace

TEST_CASE("the commands of the README run") {
  const std::vector<std::string> all = commands();
  // At least the main one and one for each other verb.
  REQUIRE(all.size() >= 5);
  const ScratchFolder scratch;
  for (const std::string& command : all) {
    const Outcome outcome = trainyard_line(redirected(command, scratch.path));
    CAPTURE(command);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    CHECK_FALSE(outcome.out.empty());
  }
  CHECK(fs::exists(scratch.path / "step.json.gz"));
  CHECK(fs::exists(scratch.path / "step.svg"));
}

TEST_CASE("the scenario that the README shows runs") {
  const std::string readme = content_of(fs::path(TRAINYARD_SOURCE_DIR) / "README.md");
  const std::string fence = "```json\n";
  const std::size_t begin = readme.find(fence);
  REQUIRE(begin != std::string::npos);
  const std::size_t end = readme.find("```", begin + fence.size());
  REQUIRE(end != std::string::npos);
  const ScratchFolder scratch;
  const std::string text = readme.substr(begin + fence.size(), end - begin - fence.size());
  const Outcome outcome = trainyard_line("run --network analytic " + scratch.file("scenario.json", text));
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
}
