// What the verbs say of accuracy: bands beside predictions, calibration to files, the guard of the scoreboard.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/cli/binary.hpp"

using namespace trainyard;

namespace test_accuracy_verbs {

using Document = nlohmann::json;

namespace {

const std::string kJob = " --model gpt2 --cluster dgx-a100 --gpus 8 --global-batch 16 --network analytic";

// A band holds the prediction and says what it rests on.
void check_band(const Document& band, const std::string& unit, double predicted) {
  CAPTURE(band.dump());
  CHECK(band.at("low_" + unit).get<double>() <= predicted);
  CHECK((band.at("high_" + unit).is_null() || band.at("high_" + unit).get<double>() >= predicted));
  CHECK_FALSE(band.at("basis").get<std::string>().empty());
}

}  // namespace

TEST_CASE("memory and search give every prediction the band of the nearest validated runs") {
  const Outcome memory = trainyard_line("memory" + kJob + " --json -");
  REQUIRE(memory.code == 0);
  const Document estimate = Document::parse(memory.out);
  check_band(estimate.at("uncertainty"), "bytes", estimate.at("peak_bytes").get<double>());
  CHECK(trainyard_line("memory" + kJob).out.find("nine of ten of") != std::string::npos);

  const Outcome search = trainyard_line("search" + kJob + " --simulate 2 --json -");
  CAPTURE(search.err);
  REQUIRE(search.code == 0);
  std::size_t simulated = 0;
  const Document found = Document::parse(search.out);
  for (const Document& layout : found.at("layouts")) {
    if (!layout.at("step_time_s").is_null()) {
      check_band(layout.at("uncertainty"), "s", layout.at("step_time_s").get<double>());
      ++simulated;
    }
  }
  CHECK(simulated == 3);  // the two fastest by formula and one of the front
  CHECK(trainyard_line("search" + kJob + " --simulate 2").out.find("nine of ten of") != std::string::npos);
}

TEST_CASE("tables of which nothing can be predicted are no validation") {
  const ScratchFolder scratch;
  const auto refused = [](const std::string& command, const std::string& reason) {
    const Outcome outcome = trainyard_line("validate " + command);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.find("none of these measurements can be predicted") != std::string::npos);
    CHECK(outcome.err.find(reason) != std::string::npos);
  };
  const std::string runs =
      "id,model,num_gpus,seq_len,tp,pp,micro_batch,global_batch,measured_step_s,cluster,framework_profile\n";
  refused("runs " + scratch.file("runs.csv", runs + "a,no-such,8,1024,1,1,1,8,1,dgx-a100,\n"),
          "1 rows: no model no-such");
  refused("runs " + scratch.file("none.csv", runs), "no rows");
  refused("gemm " +
              scratch.file("gemm.csv", "id,gpu,dtype,m,n,k,time_us\na,no-such,bf16,8,8,8,1\nb,a100-80,bf16,-1,8,8,1\n"),
          "1 rows: GPU \"no-such\" is not in the catalogue; 1 rows: m, n, k or batch is not stated or not above zero");
  refused("attention " + scratch.file("attention.csv",
                                      "id,gpu,dtype,batch,seq,heads,head_dim,causal,direction,time_us\n"
                                      "a,no-such,bf16,1,128,8,64,1,fwd,9\n"),
          "is not in the catalogue");
  refused("membound " + scratch.file("stream.csv", "id,gpu,op,gbps\na,no-such,copy,900\n"), "is not in the catalogue");
}

TEST_CASE("a cluster's collectives are calibrated from an nccl-tests log into a profile") {
  // Synthetic, measured by nobody: 10 us and 100 GB/s.
  std::string log = "# ./all_reduce_perf\n# Using devices\n";
  for (int rank = 0; rank < 8; ++rank) {
    log += fmt::format("#  Rank {} Group 0 Pid 1 on node device {} [0x00] GPU\n", rank, rank);
  }
  log += "#  size count type redop root time algbw busbw #wrong\n";
  for (int power = 10; power < 26; ++power) {
    const double size = 1 << power;
    log += fmt::format("{:.0f} {:.0f} float sum -1 {:.3f} 0 0 0\n", size, size / 4.0, 10.0 + size / 100e3);
  }
  const ScratchFolder scratch;
  const std::string file = scratch.file("nccl.log", log);
  const std::string profile = scratch.path / "profile.json";
  const Outcome outcome = trainyard_line("calibrate --cluster dgx-a100 --out " + profile + " " + file);
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  const Document written = Document::parse(content_of(profile));
  CHECK(written.at("fit").at("inputs").at(0).at("rows") == 16);
  CHECK(written.at("fit").at("cross_validated").size() == 2);
  CHECK_FALSE(written.at("curves").empty());
  const Outcome homeless = trainyard_line("validate collectives " + file);
  CHECK(homeless.code == 2);
  CHECK(homeless.err.find("remedy: name it with --cluster") != std::string::npos);
  const Outcome validated = trainyard_line("validate collectives --cluster dgx-a100 --json - " + file);
  REQUIRE(validated.code == 0);
  const Document scores = Document::parse(validated.out);
  CHECK(scores.at("files").at(0).at("simulated") == 16);
  for (const auto& row : scores.at("rows")) {
    CHECK(row.at("cluster") == "dgx-a100");
    CHECK(row.at("held_out_error").is_number());
  }
  const Outcome both = trainyard_line("calibrate --cluster dgx-a100 --gpu a100-80 " + file);
  CHECK(both.code == 2);
}

TEST_CASE("the scoreboard's guard passes equal scores and fails worse ones, saying which") {
  const ScratchFolder scratch;
  const std::string table =
      scratch.file("membound_mine.csv", "id,gpu,op,gbps,source_repo\na,a100-80,copy,1700,\nb,a100-80,scale,1500,\n");
  const std::string page = scratch.path / "SCOREBOARD.md";
  const Outcome written = trainyard_line("validate all " + table + " --write " + page);
  CAPTURE(written.err);
  REQUIRE(written.code == 0);
  const std::string scores = scratch.path / "scores.json";
  CHECK(trainyard_line("validate all " + table + " --check " + scores).code == 0);
  Document better = Document::parse(content_of(scores));
  better["sections"]["membound"][0]["mean_abs_error"] = 0.0;
  const Outcome worse =
      trainyard_line("validate all " + table + " --check " + scratch.file("better.json", better.dump()));
  CHECK(worse.code == 1);
  CHECK(worse.err.find("mean_abs_error was 0.0000") != std::string::npos);
  CHECK(worse.err.find("--write validation/SCOREBOARD.md") != std::string::npos);
}

}  // namespace test_accuracy_verbs
