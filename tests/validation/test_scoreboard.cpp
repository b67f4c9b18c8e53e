#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/score/scoreboard.hpp"
#include "validation/score/scoreboard_page.hpp"

namespace trainyard::test_scoreboard {
namespace {

namespace fs = std::filesystem;

struct Tables {
  fs::path folder = fs::temp_directory_path() / ("trainyard_scoreboard_" + std::to_string(::getpid()));
  std::vector<fs::path> files;

  Tables() {
    fs::create_directories(folder);
    // Two runs that state everything, of which the second states no batch and is skipped.
    add("runs_tiny.csv",
        "id,gpu,gpus_per_node,num_gpus,cluster,framework_profile,model,arch,layers,hidden,heads,vocab,seq_len,tp,pp,dp,"
        "zero_stage,sequence_parallel,micro_batch,global_batch,precision,recompute,measured_step_s,oom\n"
        "whole,a100-80,8,16,dgx-a100,megatron-core,tiny,gpt,4,1024,16,50304,1024,1,1,16,1,0,1,16,bf16,none,0.05,0\n"
        "partial,a100-80,8,8,dgx-a100,megatron-core,tiny,gpt,4,1024,16,50304,1024,1,1,8,1,0,,,bf16,none,0.05,0\n");
    add("membound_tiny.csv", "id,gpu,op,gbps,source_repo\na,a100-80,copy,1700,\n");
  }
  ~Tables() { fs::remove_all(folder); }
  Tables(const Tables&) = delete;
  Tables& operator=(const Tables&) = delete;

  void add(const char* name, const char* content) {
    write_file(folder / name, content);
    files.push_back(folder / name);
  }
};

}  // namespace

TEST_CASE("a scoreboard counts what was scored and what was skipped, and repeats bit for bit") {
  const Tables tables;
  const Scoreboard board = make_scoreboard(tables.files, Network::kAnalytic);
  const Json& runs = board.scores.at("sections").at("runs").at(0);
  CHECK(runs.at("name") == "runs_tiny");
  CHECK(runs.at("rows") == 2);
  CHECK(runs.at("simulated") == 1);
  CHECK(runs.at("skipped") == 1);
  CHECK(runs.at("fit") == "none");
  CHECK(board.scores.at("runs_skipped").at(0).at("reason") == "micro_batch is not stated");
  // 16 GPUs of 8 on a node: the mechanism "nodes" has its one row at 2.
  bool two_nodes = false;
  for (const Json& entry : board.scores.at("runs_by_mechanism")) {
    two_nodes = two_nodes || (entry.at("mechanism") == "nodes" && entry.at("name") == "2");
  }
  CHECK(two_nodes);
  CHECK(board.accuracy.at("families").at(0).at("rows") == 1);
  CHECK(board.scores.at("sections").at("membound").at(0).at("simulated") == 1);

  const Scoreboard again = make_scoreboard(tables.files, Network::kAnalytic);
  CHECK(again.scores.dump() == board.scores.dump());
  CHECK(again.runs_csv == board.runs_csv);
  CHECK(again.figures == board.figures);
  CHECK(scoreboard_page(again) == scoreboard_page(board));
}

TEST_CASE("the written scoreboard is the page, its figures and the files that others read") {
  const Tables tables;
  const Scoreboard board = make_scoreboard(tables.files, Network::kAnalytic);
  const fs::path out = tables.folder / "board";
  fs::create_directories(out);
  write_scoreboard(board, out / "SCOREBOARD.md");
  const std::string page = read_file(out / "SCOREBOARD.md");
  CHECK(page.find("| runs_tiny | 2 | 1 | 0 | 0 | 1 |") != std::string::npos);
  CHECK(read_json_file(out / "scores.json") == board.scores);
  CHECK(read_json_file(out / "accuracy.json") == board.accuracy);
  // A header and the row that was scored.
  const std::string csv = read_file(out / "results/runs.csv");
  CHECK(std::count(csv.begin(), csv.end(), '\n') == 2);
  for (const char* name : {"runs_predicted", "runs_errors", "membound_predicted", "membound_errors"}) {
    CHECK(fs::exists(out / "figures" / (std::string(name) + ".svg")));
    CHECK(page.find(std::string(name) + ".svg") != std::string::npos);
  }
}

TEST_CASE("a table whose name does not say its kind is refused") {
  const Tables tables;
  CHECK_THROWS_AS(make_scoreboard(std::vector{tables.folder / "steps.csv"}, Network::kAnalytic), UserError);
}

TEST_CASE("every published table is described in its folder's README, by its name or by the beginning of it") {
  const std::vector<fs::path> tables = published_tables();
  CHECK(tables.size() > 40);
  for (const fs::path& table : tables) {
    const std::string readme = read_file(table.parent_path() / "README.md");
    const std::string name = table.filename().string();
    // "gemm_aiconfigurator_*.csv" stands for the tables of several GPUs.
    const std::string family = name.substr(0, name.find_last_of('_') + 1) + "*.csv";
    CAPTURE(name);
    CHECK((readme.find(name) != std::string::npos || readme.find(family) != std::string::npos));
  }
}

}  // namespace trainyard::test_scoreboard
