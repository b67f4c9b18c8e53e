// run.sh with programs that only pretend: what it finds, what it hands on and what it says of failures.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "sim/base/files.hpp"

namespace trainyard::test_run_script {
namespace {

namespace fs = std::filesystem;

// A folder of programs that write their arguments and TRAINYARD_HOME to a log and end with a given exit code.
class Programs {
 public:
  Programs() : folder_(fs::temp_directory_path() / fmt::format("trainyard_programs_{}", ::getpid())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~Programs() { fs::remove_all(folder_); }
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  void add(const std::string& name, int exit_code) const {
    const fs::path path = folder_ / ("microbench_" + name);
    write_file(path, fmt::format("#!/bin/sh\necho \"{} $* home=$TRAINYARD_HOME\" >> '{}'\nexit {}\n", name,
                                 log().string(), exit_code));
    fs::permissions(path, fs::perms::owner_all);
  }
  fs::path log() const { return folder_ / "log"; }
  std::string said() const { return fs::exists(log()) ? read_file(log()) : std::string(); }

  // Exit code of run.sh. A minute is too short for what goes through PyTorch, which is left out.
  int run(const std::string& options) const {
    const std::string command = fmt::format(
        "env -u TRAINYARD_HOME '{}/validation/microbench/run.sh' --no-build --deadline 60 --out '{}' {} 2>/dev/null",
        TRAINYARD_SOURCE_DIR, (folder_ / "out.jsonl").string(), options);
    return WEXITSTATUS(std::system(command.c_str()));
  }
  std::string option() const { return fmt::format("--programs '{}'", folder_.string()); }

 private:
  fs::path folder_;
};

TEST_CASE("a folder without programs is an error, and so are unknown options") {
  const Programs none;
  CHECK(none.run("--quick " + none.option()) == 1);
  CHECK(none.run("--quick --programs /nowhere") == 1);
  CHECK(none.run("--speed 3") == 2);
  CHECK(none.run("--device") == 2);
}

TEST_CASE("carried programs run in order of value, with the project's catalogues and a common deadline") {
  const Programs programs;
  for (const char* name : {"gemm", "system", "overlap", "membound"}) {
    programs.add(name, 0);
  }
  CHECK(programs.run("--quick --device 1 " + programs.option()) == 0);
  const std::string said = programs.said();
  const std::size_t gemm = said.find("gemm --out ");
  const std::size_t system = said.find("system --out ");
  const std::size_t overlap = said.find("overlap --out ");
  REQUIRE(overlap != std::string::npos);
  CHECK(gemm < system);
  CHECK(system < overlap);
  CHECK(said.find("--device 1 --quick") != std::string::npos);
  CHECK(said.find(fmt::format("home={}", fs::canonical(TRAINYARD_SOURCE_DIR).string())) != std::string::npos);
  // 175 s for the GEMMs, but no more than the minute that there is, less the grace.
  CHECK((said.find("--seconds 50 ") != std::string::npos || said.find("--seconds 49 ") != std::string::npos));
}

TEST_CASE("a part that fails or is missing makes the run fail, and the others run all the same") {
  const Programs programs;
  programs.add("gemm", 1);
  programs.add("system", 0);
  programs.add("membound", 0);
  CHECK(programs.run("--quick " + programs.option()) == 1);
  CHECK(programs.said().find("system --out ") != std::string::npos);
  programs.add("gemm", 0);
  CHECK(programs.run("--quick " + programs.option()) == 1);  // overlap is missing
  programs.add("overlap", 0);
  CHECK(programs.run("--quick " + programs.option()) == 0);
}

TEST_CASE("a machine without a GPU is not a failure: 77, at once") {
  const Programs programs;
  programs.add("gemm", 77);
  programs.add("system", 0);
  CHECK(programs.run("--quick " + programs.option()) == 77);
  CHECK(programs.said().find("system") == std::string::npos);
}

}  // namespace
}  // namespace trainyard::test_run_script
