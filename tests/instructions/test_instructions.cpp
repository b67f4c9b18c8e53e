// Did an answer become dearer? Instructions of the whole process, counted by callgrind, against the committed counts:
// they do not depend on how busy the machine is, so a step up is a change of the code, of its libraries or of the
// compiler. When a change is worth its price, say so in the commit, and write the new counts with
//
//     TRAINYARD_REGENERATE_COUNTS=1 build/release/tests/test_instructions
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"

using namespace trainyard;

namespace test_instructions {

namespace {

constexpr double kTolerance = 0.05;

std::filesystem::path counts_file() {
  return std::filesystem::path(TRAINYARD_SOURCE_DIR) / "tests" / "instructions" / "counts.json";
}

// What a shell command writes to its error stream.
std::string errors_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen((command + " 2>&1 >/dev/null").c_str(), "r"), ::pclose);
  std::string text;
  std::array<char, 4096> buffer{};
  while (pipe != nullptr && std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) {
    text += buffer.data();
  }
  return text;
}

// Nothing where callgrind gave no count.
std::optional<double> instructions(const std::string& command, std::string& log) {
  log = errors_of(
      fmt::format("valgrind --tool=callgrind --callgrind-out-file=/dev/null '{}' {}", TRAINYARD_BINARY, command));
  constexpr std::string_view kLabel = "Collected : ";
  const std::size_t found = log.rfind(kLabel);
  if (found == std::string::npos) {
    return std::nullopt;
  }
  return std::atof(log.c_str() + found + kLabel.size());
}

}  // namespace

TEST_CASE("no answer takes more instructions than it did") {
  Json counts = read_json_file(counts_file());
  REQUIRE(counts.size() >= 3);
  const bool regenerates = std::getenv("TRAINYARD_REGENERATE_COUNTS") != nullptr;
  for (Json& one : counts) {
    std::string log;
    const std::optional<double> now = instructions(one["command"].get<std::string>(), log);
    REQUIRE_MESSAGE(now.has_value(), "valgrind counted nothing (./trainyard test installs it):\n" << log);
    const double before = one["instructions"];
    if (regenerates) {
      one["instructions"] = static_cast<std::int64_t>(*now);
      continue;
    }
    CHECK_MESSAGE(*now <= (1.0 + kTolerance) * before,
                  fmt::format("{}: {:.4g} instructions became {:.4g} ({:+.1f} %)", one["name"].get<std::string>(),
                              before, *now, 100.0 * (*now / before - 1.0)));
  }
  if (regenerates) {
    write_file(counts_file(), counts.dump(2) + "\n");
    MESSAGE("wrote ", counts_file().string());
  }
}

}  // namespace test_instructions
