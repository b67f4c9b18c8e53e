#include <doctest/doctest.h>

#include "sim/report/report.hpp"

using namespace trainyard;

namespace test_memory_text {

namespace {

struct Case {
  Scenario scenario;
  Layout layout;
  MemoryEstimate memory;
};

// Three stages of 2, 1 and 1 layers that hold 12, 6 and 6 GiB; capacity as given.
Case three_stages(double capacity_gib) {
  constexpr double kGib = 1073741824.0;
  Case out{.layout = {.grid = RankGrid::dense(Parallelism{.pp = 3}),
                      .expert_grid = RankGrid::experts(Parallelism{.pp = 3})}};
  out.scenario.gpu.name = "a-gpu";
  out.scenario.gpu.memory = {capacity_gib * kGib};
  for (const std::int64_t layers : {2, 1, 1}) {
    out.layout.stages.push_back({.chunks = {{.layers = layers}}});
    const double share = static_cast<double>(layers) * kGib;
    StageMemory& stage = out.memory.stages.emplace_back();
    stage.uses[MemoryUse::kParameters] = {share};
    stage.uses[MemoryUse::kActivations] = {5.0 * share};
    stage.total = stage.uses.total();
  }
  out.memory = make_estimate(std::move(out.memory.stages), {capacity_gib * kGib});
  return out;
}

}  // namespace

TEST_CASE("stages that hold the same share a line of the summary") {
  // 12 of 16 GiB are 75 %, 6 of 16 are 37.5 %.
  const Case fits = three_stages(16.0);
  CHECK(memory_summary_text(fits.scenario, fits.layout, fits.memory) ==
        "memory per GPU, of 16 GiB (a-gpu)\n"
        "  stage    layers       total    share\n"
        "  0             2      12 GiB   75.0 %\n"
        "  1-2           1       6 GiB   37.5 %\n"
        "  fits: stage 0 is the fullest and has 4 GiB to spare\n");
}

TEST_CASE("what does not fit is marked at its stage and summed up") {
  const Case full = three_stages(8.0);
  const std::string text = memory_summary_text(full.scenario, full.layout, full.memory);
  CHECK(text.find("12 GiB  150.0 %  does not fit\n") != std::string::npos);
  CHECK(text.find("DOES NOT FIT: stage 0 needs 12 GiB of 8 GiB, 4 GiB too much\n") != std::string::npos);
}

TEST_CASE("the table of memory has a row for each use and a column for each stage") {
  const Case fits = three_stages(16.0);
  const std::string text = memory_text(fits.scenario, fits.layout, fits.memory);
  CHECK(
      text.starts_with("memory per GPU, of 16 GiB (a-gpu)\n"
                       "                                stage 0    stage 1    stage 2\n"
                       "  layers                              2          1          1\n"
                       "  parameters                      2 GiB      1 GiB      1 GiB\n"
                       "  gradients                           -          -          -\n"));
  CHECK(text.find("  activations                    10 GiB      5 GiB      5 GiB\n") != std::string::npos);
  CHECK(
      text.ends_with("  total                          12 GiB      6 GiB      6 GiB\n"
                     "  of capacity                    75.0 %     37.5 %     37.5 %\n"
                     "  fits: stage 0 is the fullest and has 4 GiB to spare\n"));
  CHECK(text.find("reached after") == std::string::npos);  // an estimate has no times
}

TEST_CASE("a timeline's table says when each stage is fullest") {
  Case timed = three_stages(16.0);
  for (StageMemory& stage : timed.memory.stages) {
    stage.at = Seconds{0.25};
  }
  CHECK(memory_text(timed.scenario, timed.layout, timed.memory)
            .find("  reached after                  250 ms     250 ms     250 ms\n") != std::string::npos);
  CHECK(memory_json(timed.memory).at("per_stage")[0].at("peak_time_s") == 0.25);
}

TEST_CASE("memory as JSON names its terms in bytes") {
  const Case fits = three_stages(16.0);
  const Json json = memory_json(fits.memory);
  CHECK(json.at("fits") == true);
  CHECK(json.at("peak_bytes") == 12.0 * 1073741824.0);
  CHECK(json.at("spare_bytes") == 4.0 * 1073741824.0);
  CHECK(json.at("per_stage")[1].at("peak_time_s").is_null());
  CHECK(json.at("per_stage").size() == 3);
  CHECK(json.at("per_stage")[1].at("terms_bytes").at("activations") == 5.0 * 1073741824.0);
}

TEST_CASE("hosts that hold too little are part of the one verdict") {
  constexpr double kGib = 1073741824.0;
  Case job = three_stages(16.0);
  job.memory.host_peak = Bytes{300.0 * kGib};
  job.memory.host_capacity = Bytes{400.0 * kGib};
  const auto verdict = [&job](const std::string& text) {
    CHECK(text == memory_summary_text(job.scenario, job.layout, job.memory)
                      .substr(memory_summary_text(job.scenario, job.layout, job.memory).size() - text.size()));
  };
  verdict("  host: 300 GiB of 400 GiB per node\n  fits: stage 0 is the fullest and has 4 GiB to spare\n");
  job.memory.host_peak = Bytes{500.0 * kGib};
  verdict("  DOES NOT FIT: a node's host needs 500 GiB of 400 GiB, 100 GiB too much\n");
  CHECK(memory_text(job.scenario, job.layout, job.memory).find("fits:") == std::string::npos);
  job.memory = make_estimate(std::move(job.memory.stages), {8.0 * kGib});
  job.memory.host_peak = Bytes{500.0 * kGib};
  job.memory.host_capacity = Bytes{400.0 * kGib};
  verdict(
      "  DOES NOT FIT: stage 0 needs 12 GiB of 8 GiB, 4 GiB too much; a node's host needs 500 GiB of 400 GiB, "
      "100 GiB too much\n");
}

TEST_CASE("what was chosen for the user stands above the table") {
  Case job = three_stages(16.0);
  job.scenario.notes = {"sequences of 8192 tokens"};
  CHECK(memory_text(job.scenario, job.layout, job.memory).find("  note      sequences of 8192 tokens\n") !=
        std::string::npos);
}

}  // namespace test_memory_text
