// What leaves the device for its host and what comes back, in the program and in the memory of both.
#include <doctest/doctest.h>

#include <optional>

#include "sim/memory/check_fits.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/memory/offload.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_offload {

namespace {

Scenario scenario_of(const std::string& changes, const std::string& framework = "megatron-core") {
  Json document = parse_json(R"({"model": "llama-2-7b", "cluster": "dgx-h100", "gpus": 8,
      "training": {"global_batch": 16, "precision": "bf16", "grad_dtype": "fp32", "recompute": "none"}})",
                             "job.json");
  document["framework"] = framework;
  document["training"].update(parse_json(changes, "changes"));
  return read_scenario(document, "job.json");
}

// Bytes that one rank copies in a step.
struct Copied {
  double to_host = 0.0;
  double from_host = 0.0;
};
Copied copied(const Scenario& scenario) {
  const Program program = build_program(scenario, make_layout(scenario), *calibrated_kernel_costs(scenario.gpu));
  const RankProgram& rank = program.classes.front();
  Copied sum;
  for (const CommunicationId id : rank.communications) {
    const Communication& one = program.communications[id.index()];
    if (one.host) {
      CHECK(one.groups.size() == program.ranks());
      (*one.host == HostWay::kToHost ? sum.to_host : sum.from_host) += one.size.value;
    }
  }
  return sum;
}

double parameters(const Scenario& scenario) {
  return static_cast<double>(make_layout(scenario).stage_parameters.front());
}

constexpr double kRanks = 8.0;
constexpr double kMicroBatches = 2.0;

}  // namespace

TEST_CASE("an offloaded optimizer receives fp32 gradients once and returns 16-bit parameters once") {
  for (const bool prefetch : {true, false}) {
    const Scenario scenario = scenario_of(prefetch ? R"({"offload": {"optimizer": 0.5}})"
                                                   : R"({"offload": {"optimizer": 0.5, "prefetch": false}})");
    // Half of the rank's eighth of the states.
    const double updated = 0.5 * parameters(scenario) / kRanks;
    CHECK(copied(scenario).to_host == doctest::Approx(4.0 * updated));
    CHECK(copied(scenario).from_host == doctest::Approx(2.0 * updated));
  }
}

TEST_CASE("DeepSpeed's gradients go to the host as often as they are reduced") {
  // Stage 1 reduces in the last micro-batch, stages 2 and 3 in every one.
  for (const auto& [stage, times] : {std::pair{1, 1.0}, std::pair{2, kMicroBatches}, std::pair{3, kMicroBatches}}) {
    Json changes = {{"zero_stage", stage}, {"offload", {{"optimizer", 1.0}}}};
    const Scenario scenario = scenario_of(changes.dump(), "deepspeed");
    const double gradient = bytes_per_element(scenario.training.grad_dtype).value;
    const double shard = parameters(scenario) / kRanks;
    CHECK(copied(scenario).to_host == doctest::Approx(times * gradient * shard));
    CHECK(copied(scenario).from_host == doctest::Approx(2.0 * shard));
  }
}

TEST_CASE("FSDP's parameters come before every gather in fp32, and stay on the host after the update") {
  const Scenario scenario = scenario_of(
      R"({"data_parallel": {"strategy": "fsdp", "outer_units": "wrapped"}, "zero_stage": 3, "offload": {"weights": 1.0}})",
      "fsdp");
  const double shard = 4.0 * parameters(scenario) / kRanks;
  CHECK(copied(scenario).from_host == doctest::Approx(2.0 * kMicroBatches * shard));
  CHECK(copied(scenario).to_host == doctest::Approx(kMicroBatches * shard));
}

TEST_CASE("weights of a single rank are fetched too") {
  Json document = parse_json(R"({"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 1, "framework": "deepspeed",
      "training": {"global_batch": 1, "zero_stage": 3, "grad_dtype": "bf16", "offload": {"weights": 1.0},
                   "data_parallel": {"strategy": "deepspeed", "max_reuse_distance": 0, "prefetch_bucket_size": 0,
                                     "param_persistence_threshold": 0}}})",
                             "job.json");
  const Scenario scenario = read_scenario(document, "job.json");
  CHECK(copied(scenario).from_host == doctest::Approx(2.0 * 2.0 * parameters(scenario)));
  CHECK(copied(scenario).to_host == doctest::Approx(2.0 * parameters(scenario)));
}

TEST_CASE("activations that leave come back, and are what the memory estimate misses on the device") {
  const Scenario none = scenario_of("{}");
  const Scenario half = scenario_of(R"({"offload": {"activations": 0.5}})");
  const Layout layout = make_layout(half);
  const std::vector<Bytes> layers = offloaded_activations(half, layout.shard, layout.stages.front().chunks.front());
  REQUIRE(layers.size() == 16);
  Bytes sum{};
  for (const Bytes layer : layers) {
    sum += layer;
  }
  CHECK(copied(half).to_host == doctest::Approx(kMicroBatches * sum.value));
  CHECK(copied(half).from_host == doctest::Approx(kMicroBatches * sum.value));

  const StageMemory with = estimate_memory(half, layout).stages.front();
  const StageMemory without = estimate_memory(none, layout).stages.front();
  CHECK((without.uses[MemoryUse::kActivations] - with.uses[MemoryUse::kActivations]).value ==
        doctest::Approx(sum.value));
  CHECK(with.host[MemoryUse::kActivations].value == doctest::Approx(sum.value));
  // Two layers leave and two come.
  CHECK((with.uses[MemoryUse::kCommunication] - without.uses[MemoryUse::kCommunication]).value ==
        doctest::Approx(4.0 * layers.front().value));
}

TEST_CASE("host memory holds what the device no longer does, and what the update there needs") {
  const Scenario scenario = scenario_of(R"({"zero_stage": 3, "offload": {"weights": 1.0}})", "deepspeed");
  const Scenario before = scenario_of(R"({"zero_stage": 3})", "deepspeed");
  const Layout layout = make_layout(scenario);
  const MemoryEstimate estimate = estimate_memory(scenario, layout);
  const StageMemory& stage = estimate.stages.front();
  const StageMemory whole = estimate_memory(before, layout).stages.front();
  for (const MemoryUse use : {MemoryUse::kParameters, MemoryUse::kOptimizer, MemoryUse::kGradients}) {
    CHECK(stage.uses[use].value == 0.0);
  }
  const double shard = parameters(scenario) / kRanks;
  CHECK(stage.host[MemoryUse::kParameters].value == doctest::Approx(whole.uses[MemoryUse::kParameters].value));
  CHECK(stage.host[MemoryUse::kOptimizer].value == doctest::Approx(whole.uses[MemoryUse::kOptimizer].value));
  CHECK(stage.host[MemoryUse::kGradients].value == doctest::Approx(4.0 * shard));
  CHECK(estimate.host_peak.value == doctest::Approx(8.0 * stage.host.total().value));
  CHECK(estimate.host_capacity.value == doctest::Approx(2e12));
  CHECK(estimate.fits());
}

TEST_CASE("what does not fit into the hosts' memory is infeasible") {
  Json document = parse_json(R"({"model": "llama-2-7b", "gpus": 8, "framework": "megatron-core",
      "training": {"global_batch": 8, "offload": {"optimizer": 1.0}}})",
                             "job.json");
  document["cluster"] = load_cluster("dgx-h100").document;
  document["cluster"]["node"]["host"]["memory"] = "64 GB";
  const Scenario scenario = read_scenario(document, "job.json");
  const MemoryEstimate estimate = estimate_memory(scenario, make_layout(scenario));
  CHECK(estimate.peak <= estimate.capacity);
  // 12 bytes of states and 4 of gradients for every parameter of the model, on one node.
  CHECK(estimate.host_peak.value == doctest::Approx(16.0 * parameters(scenario)));
  CHECK_FALSE(estimate.fits());
  std::optional<ExitCode> code;
  try {
    check_fits(estimate, scenario);
  } catch (const UserError& error) {
    code = error.code();
  }
  CHECK(code == ExitCode::kInfeasible);
}

}  // namespace test_offload
