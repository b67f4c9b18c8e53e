#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>

#include "sim/layout/stage_schedule.hpp"
#include "sim/memory/check_fits.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/set_key.hpp"
#include "sim/schedules/schedule.hpp"
#include "tests/layout/layout_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_memory_estimate {

namespace {

MemoryEstimate estimate(const Scenario& scenario) {
  return estimate_memory(scenario, make_layout(scenario));
}

// The jobs of arXiv 2205.05198, table 3: 16-bit operands, Megatron's kernels of 2022.
Scenario korthikanti(const char* model, int gpus, int pp, int vpp, int micro_batch, int global_batch,
                     const char* recompute, bool sequence_parallel) {
  return scenario_of(fmt::format(
      R"({{"model": "{}", "cluster": "dgx-a100", "gpus": {}, "layout": {{"tp": 8, "pp": {}, "vpp": {}, "dp": 1,
          "sequence_parallel": {}}}, "training": {{"micro_batch": {}, "global_batch": {}, "recompute": "{}"}},
          "framework": "megatron-lm-2022"}})",
      model, gpus, pp, vpp, sequence_parallel, micro_batch, global_batch, recompute));
}

}  // namespace

TEST_CASE("activations of the first stage are Korthikanti's, equations 1 to 5") {
  // 22B: s 2048, b 4, h 6144, a 64, L 48, t 8, no pipeline: every layer once.
  const double sbh = 2048.0 * 4.0 * 6144.0;
  const double scores = 5.0 * 64.0 * 2048.0 / 6144.0;  // 5 a s / h
  struct Case {
    const char* recompute;
    bool sequence_parallel;
    double per_layer;  // in units of s b h
  };
  for (const auto& [recompute, sequence_parallel, per_layer] :
       {Case{"none", false, 10.0 + 24.0 / 8.0 + scores / 8.0}, Case{"none", true, (34.0 + scores) / 8.0},
        Case{"selective", false, 10.0 + 24.0 / 8.0}, Case{"selective", true, 34.0 / 8.0}}) {
    const Scenario scenario = korthikanti("megatron-22b", 8, 1, 1, 4, 4, recompute, sequence_parallel);
    CHECK(estimate(scenario).stages.front().uses[MemoryUse::kActivations].value ==
          doctest::Approx(48.0 * sbh * per_layer + sbh / (sequence_parallel ? 8.0 : 1.0)));  // the embedding's mask
  }
}

TEST_CASE("the pipeline's first stage holds activations of L layers, and of L (1 + (p - 1) / (p m)) when interleaved") {
  // arXiv 2205.05198, section 4.2.3 (their m is the number of interleaved chunks).
  // 1T: L 128, p 64, no interleaving, b 1, h 25600.
  const double one_t = 128.0 * 34.0 / 8.0 * 2048.0 * 25600.0;
  const Scenario trillion = korthikanti("megatron-1t-2022", 512, 64, 1, 1, 512, "selective", true);
  // Of the embedding's dropout a mask of one byte, for all 64 passes.
  const double one_t_masks = 64.0 * 2048.0 * 25600.0 / 8.0;
  CHECK(estimate(trillion).stages.front().uses[MemoryUse::kActivations].value == doctest::Approx(one_t + one_t_masks));
  // 175B: L 96, p 8, three chunks, b 1, h 12288.
  const double factor = 1.0 + 7.0 / (8.0 * 3.0);
  const double gpt3 = 96.0 * factor * 34.0 / 8.0 * 2048.0 * 12288.0;
  const Scenario interleaved = korthikanti("gpt3-175b", 64, 8, 3, 1, 64, "selective", true);
  // Of the 31 passes in flight 8 + 7 are of the first chunk, which has the embedding, and 8 + 8 once the first
  // backward, of the last chunk, has made room for one more.
  const double gpt3_masks = 16.0 * 2048.0 * 12288.0 / 8.0;
  CHECK(estimate(interleaved).stages.front().uses[MemoryUse::kActivations].value == doctest::Approx(gpt3 + gpt3_masks));
}

TEST_CASE("model states are 16 + 2 bytes a parameter for Adam with fp32 gradients, sharded by ZeRO 1") {
  // bf16 parameter 2, fp32 gradient 4, fp32 master and two moments 12 (Megatron dist_optimizer.md: 18, or 6 + 12 / d).
  for (const int zero : {0, 1}) {
    const Scenario scenario =
        scenario_of(fmt::format(R"({{"model": "gpt2", "cluster": "dgx-a100", "gpus": 8, "training": {{"zero_stage": {},
                         "precision": "bf16", "grad_dtype": "fp32", "optimizer": "adam"}}}})",
                                zero));
    const Layout layout = make_layout(scenario);
    const StageMemory stage = estimate_memory(scenario, layout).stages.front();
    const auto parameters = static_cast<double>(layout.stage_parameters.front());
    CHECK(stage.uses[MemoryUse::kParameters].value == doctest::Approx(2.0 * parameters));
    CHECK(stage.uses[MemoryUse::kGradients].value == doctest::Approx(4.0 * parameters));
    CHECK(stage.uses[MemoryUse::kOptimizer].value == doctest::Approx(12.0 * parameters / (zero == 1 ? 8.0 : 1.0)));
  }
}

TEST_CASE("model states of other recipes follow from what they keep") {
  struct Recipe {
    const char* precision;
    const char* gradients;
    const char* optimizer;
    double bytes;  // parameter + gradient + optimizer
  };
  for (const auto& [precision, gradients, optimizer, bytes] :
       {Recipe{"fp16", "fp16", "adam", 2.0 + 2.0 + 16.0},  // master, two moments, fp32 copy of the gradient
        Recipe{"fp32", "fp32", "adam", 4.0 + 4.0 + 8.0},   // no master copy
        Recipe{"bf16", "fp32", "sgd", 2.0 + 4.0 + 8.0},    // master and one moment
        Recipe{"fp32", "fp32", "sgd", 4.0 + 4.0 + 4.0}}) {
    const Scenario scenario = scenario_of(fmt::format(
        R"({{"model": "gpt2", "cluster": "dgx-a100", "gpus": 1, "training": {{"zero_stage": 0, "precision": "{}",
             "grad_dtype": "{}", "optimizer": "{}"}}}})",
        precision, gradients, optimizer));
    const Layout layout = make_layout(scenario);
    const StageMemory stage = estimate_memory(scenario, layout).stages.front();
    const Bytes states =
        stage.uses[MemoryUse::kParameters] + stage.uses[MemoryUse::kGradients] + stage.uses[MemoryUse::kOptimizer];
    CHECK(states.value == doctest::Approx(bytes * static_cast<double>(layout.stage_parameters.front())));
  }
}

TEST_CASE("a stage's terms add up, the fullest stage is the peak, and what does not fit says where it went") {
  const Scenario scenario = scenario_of(
      R"({"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 64, "layout": {"tp": 8, "pp": 8, "dp": 1},
          "training": {"micro_batch": 8, "global_batch": 64, "recompute": "none"}, "framework": "megatron-lm-2022"})");
  const MemoryEstimate memory = estimate(scenario);
  REQUIRE(memory.stages.size() == 8);
  Bytes peak{};
  for (const StageMemory& stage : memory.stages) {
    for (const auto& [name, use] : kMemoryUseNames.rows) {
      CHECK(stage.uses[use] >= Bytes{});
    }
    CHECK(stage.uses.total().value == doctest::Approx(stage.total.value));
    peak = max(peak, stage.total);
  }
  CHECK(memory.peak == peak);
  CHECK(memory.capacity == scenario.gpu.memory);
  CHECK_FALSE(memory.fits());
  try {
    check_fits(memory, scenario);
    FAIL("fits");
  } catch (const UserError& error) {
    CHECK(error.code() == ExitCode::kInfeasible);
    CHECK(error.fault().found.find("activations") != std::string::npos);
    CHECK(error.fault().remedy.find("--allow-oom") != std::string::npos);
  }
}

TEST_CASE("what helps in memory helps: recomputation, sharding, smaller micro-batches") {
  const auto peak = [](std::initializer_list<std::string_view> changes) {
    Json document = parse_json(
        R"({"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 128, "layout": {"tp": 8, "pp": 8},
            "training": {"micro_batch": 2, "global_batch": 64, "recompute": "none", "zero_stage": 0},
            "framework": "megatron-lm-2022"})",
        "job.json");
    for (const std::string_view change : changes) {
      set_key(document, change);
    }
    return estimate(read_scenario(document, "job.json")).peak;
  };
  CHECK(peak({"training.recompute=selective"}) < peak({}));
  CHECK(peak({"training.recompute=full"}) < peak({"training.recompute=selective"}));
  CHECK(peak({"training.zero_stage=1"}) < peak({}));
  CHECK(peak({"training.micro_batch=1"}) < peak({}));
  CHECK(peak({"layout.sequence_parallel=true"}) < peak({}));
  CHECK(peak({"layout.pp=16"}) < peak({}));
}

TEST_CASE("model states follow the formats that are asked for") {
  struct Recipe {
    const char* changes;
    double parameters;
    double gradients;
    double optimizer;
  };
  // ZeRO (arXiv 1910.02054), section 3.1: 2 + 2 + 12 bytes. 16-bit gradients are copied to fp32 here, as in Megatron,
  // so the optimizer has 4 more. Moments in 8 bits: 1 + 1 instead of 4 + 4. An 8-bit recipe keeps 16-bit weights and
  // two 8-bit copies.
  for (const auto& [changes, parameters, gradients, optimizer] :
       {Recipe{R"("precision": "bf16", "grad_dtype": "bf16")", 2.0, 2.0, 12.0 + 4.0},
        Recipe{R"("precision": "bf16", "grad_dtype": "fp32", "optimizer_dtype": "bf16")", 2.0, 4.0, 4.0 + 2.0 + 2.0},
        Recipe{R"("precision": "bf16", "grad_dtype": "fp32", "optimizer_dtype": "fp8")", 2.0, 4.0, 4.0 + 1.0 + 1.0},
        Recipe{R"("precision": "bf16", "grad_dtype": "fp32", "master_dtype": "bf16")", 2.0, 4.0, 8.0},
        Recipe{R"("grad_dtype": "bf16", "optimizer_dtype": "bf16", "master_dtype": "bf16")", 2.0, 2.0, 2.0 + 2.0},
        Recipe{R"("precision": "fp8", "grad_dtype": "fp32")", 2.0 + 1.0 + 1.0, 4.0, 12.0},
        Recipe{R"("precision": "fp8", "grad_dtype": "fp32", "weight_copies": 0)", 2.0, 4.0, 12.0}}) {
    const Scenario scenario = scenario_of(fmt::format(
        R"({{"model": "gpt2", "cluster": "dgx-h100", "gpus": 1, "training": {{"zero_stage": 0, {}}}}})", changes));
    const Layout layout = make_layout(scenario);
    const StageMemory stage = estimate_memory(scenario, layout).stages.front();
    const auto count = static_cast<double>(layout.stage_parameters.front());
    CHECK(stage.uses[MemoryUse::kParameters].value == doctest::Approx(parameters * count));
    CHECK(stage.uses[MemoryUse::kGradients].value == doctest::Approx(gradients * count));
    CHECK(stage.uses[MemoryUse::kOptimizer].value == doctest::Approx(optimizer * count));
  }
}

TEST_CASE("FSDP's shards are the masters, in the format that is asked for") {
  // torch.distributed.fsdp: parameters, gradients and moments have the format of the parameters given to it. Measured
  // on one H100 (validation/measurements, llama-3-8b of 4 layers, all bf16): 14.39 GiB before a step, 8 bytes a
  // parameter.
  for (const auto& [master, bytes] : {std::pair{"fp32", 4.0}, std::pair{"bf16", 2.0}}) {
    const Scenario scenario = scenario_of(fmt::format(
        R"({{"model": "gpt2", "cluster": "dgx-h100", "gpus": 1, "framework": "torchtitan",
             "training": {{"master_dtype": "{}", "optimizer_dtype": "{}"}}}})",
        master, master));
    const Layout layout = make_layout(scenario);
    const StageMemory stage = estimate_memory(scenario, layout).stages.front();
    const auto count = static_cast<double>(layout.stage_parameters.front());
    CHECK(stage.uses[MemoryUse::kParameters].value == doctest::Approx(bytes * count));
    CHECK(stage.uses[MemoryUse::kGradients].value == doctest::Approx(bytes * count));
    CHECK(stage.uses[MemoryUse::kOptimizer].value == doctest::Approx(2.0 * bytes * count));
  }
}

TEST_CASE("the estimate holds as many passes as the schedule leaves open") {
  // Activations of a stage without embedding and head are a multiple of one pass's: the most in flight.
  for (const char* schedule : {"1f1b", "gpipe", "interleaved"}) {
    CAPTURE(schedule);
    const int chunks = std::string_view(schedule) == "interleaved" ? 2 : 1;
    const Scenario scenario = scenario_of(fmt::format(
        R"({{"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 64, "layout": {{"tp": 8, "pp": 8, "vpp": {}}},
             "training": {{"global_batch": 32, "schedule": "{}"}}}})",
        chunks, schedule));
    const Layout layout = make_layout(scenario);
    const MemoryEstimate memory = estimate_memory(scenario, layout);
    for (std::int32_t stage = 1; stage < 7; ++stage) {
      const Bytes one = stage_holdings(scenario, layout, static_cast<std::size_t>(stage)).chunks.front().activations;
      const std::int32_t passes = most_in_flight(pass_orders(scenario)[static_cast<std::size_t>(stage)]).whole;
      CHECK(memory.stages[static_cast<std::size_t>(stage)].uses[MemoryUse::kActivations].value ==
            doctest::Approx(one.value * passes));
    }
  }
}

}  // namespace test_memory_estimate
