// The search verb, as a user runs it: rows that can be pasted, what is fixed holds, nothing found ends with the
// reasons.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_search_verb {

using Document = nlohmann::json;

namespace {

const std::string kJob = "--model gpt2 --cluster dgx-a100 --gpus 8 --global-batch 16 --network analytic";

Document json_of(const Outcome& outcome) {
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  return Document::parse(outcome.out);
}

// The row's command line and its scenario both give the row's time and memory.
void check_row(const Document& row) {
  const std::string command = row.at("command");
  CAPTURE(command);
  const std::string launcher = "./trainyard ";
  REQUIRE(command.starts_with(launcher));
  const ScratchFolder scratch;
  const std::string file = scratch.file("row.json", row.at("scenario").dump());
  for (const std::string& line : {command.substr(launcher.size()), "run " + file}) {
    const Document run = json_of(trainyard_line(line + " --json -"));
    CHECK(run.at("step_time_s") == row.at("step_time_s"));
    CHECK(run.at("memory").at("peak_bytes") == row.at("memory_bytes"));
    CHECK(run.at("scenario") == row.at("scenario"));
  }
}

}  // namespace

TEST_CASE("what search says of a row is what run answers to its command line and to its scenario") {
  for (const std::string& more :
       {std::string(), std::string(" --framework torchtitan --micro-batch 2"),
        std::string(" --set layout.loss=as-layer --pp 2 --set 'training.data_parallel={\"strategy\":\"ddp\"}'")}) {
    const Document found = json_of(trainyard_line("search " + kJob + more + " --simulate 2 --json -"));
    std::size_t simulated = 0;
    for (const Document& row : found.at("layouts")) {
      if (!row.at("step_time_s").is_null()) {
        check_row(row);
        ++simulated;
      }
    }
    CHECK(simulated == 3);  // the two fastest by formula and one of the front
  }
}

TEST_CASE("the text of a search shows the command lines of its rows") {
  const Outcome outcome = trainyard_line("search " + kJob + " --simulate 2");
  CHECK(outcome.out.find("    1  ./trainyard run " + kJob + " --tp") != std::string::npos);
}

TEST_CASE("a search that finds nothing ends with exit code 3 and counted reasons") {
  const Outcome illegal = trainyard_line("search " + kJob + " --tp 5");
  CHECK(illegal.code == 3);
  CHECK(illegal.out.empty());
  CHECK(illegal.err.find("no layout of this job is legal") != std::string::npos);
  CHECK(illegal.err.find(" x tp * pp * cp must divide the number of GPUs") != std::string::npos);

  const Outcome full = trainyard_line("search --model gpt3-175b --cluster dgx-a100 --gpus 8 --global-batch 16");
  CHECK(full.code == 3);
  CHECK(full.err.find("no layout of this job fits in memory") != std::string::npos);

  const ScratchFolder scratch;
  const std::string table = scratch.file("deadlock.txt", "F0 B0 F1 B1\nF1 B1 F0 B0\n");
  const Outcome failed =
      trainyard_line("search --model gpt2 --cluster dgx-a100 --gpus 2 --global-batch 2 --schedule " + table);
  CHECK(failed.code == 3);
  CHECK(failed.out.empty());
  CHECK(failed.err.find("could be simulated") != std::string::npos);
  CHECK(failed.err.find("deadlock") == failed.err.rfind("deadlock"));
}

TEST_CASE("values that are wrong in themselves are the user's fault in a search too") {
  for (const char* const wrong : {"--schedule banana", "--tp none", "--zero 7", "--model gpt9", "--recompute most"}) {
    CAPTURE(wrong);
    CHECK(trainyard_line("search " + kJob + " " + wrong).code == 2);
  }
}

TEST_CASE("what the user fixes holds in every row") {
  const Document found = json_of(trainyard_line(
      "search " + kJob +
      " --pp 2 --schedule gpipe --zero 0 --recompute full --micro-batch 2 --cp 2 --simulate 1 --json -"));
  REQUIRE_FALSE(found.at("layouts").empty());
  for (const Document& row : found.at("layouts")) {
    const Document& scenario = row.at("scenario");
    CHECK(scenario.at("layout").at("pp") == 2);
    CHECK(scenario.at("layout").at("cp") == 2);
    CHECK(scenario.at("layout").at("vpp") == 1);
    CHECK(scenario.at("training").at("schedule") == "gpipe");
    CHECK(scenario.at("training").at("zero_stage") == 0);
    CHECK(scenario.at("training").at("recompute") == "full");
    CHECK(scenario.at("training").at("micro_batch") == 2);
    CHECK(scenario.at("training").at("global_batch") == 16);
  }
}

}  // namespace test_search_verb
