#include <doctest/doctest.h>
#include <fmt/format.h>

#include "models/activations.hpp"
#include "sim/layout/layout.hpp"
#include "sim/memory/recompute.hpp"
#include "tests/layout/layout_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_recompute {

namespace {

Scenario recomputing(const char* how) {
  return scenario_of(fmt::format(
      R"({{"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 64, "layout": {{"tp": 8, "pp": 8}},
           "training": {{"global_batch": 8, {}}}}})",
      how));
}

// Of one layer, in bytes.
double layer_bytes(const Scenario& scenario, const RecomputePlan& plan) {
  return total_bytes(activation_bytes(scenario.model, layer_kind(scenario.model, 0), make_layout(scenario).shard,
                                      scenario.framework.operators, plan))
      .value;
}

ChunkActivations of_chunk(const Scenario& scenario) {
  const Layout layout = make_layout(scenario);
  return chunk_activations(scenario, layout.shard, layout.stages[1].chunks.front());  // 12 layers
}

}  // namespace

TEST_CASE("uniform recomputation keeps one input a group and rebuilds a group at a time") {
  const Scenario none = recomputing(R"("recompute": "none")");
  const double whole = layer_bytes(none, Recompute::kNone);
  const double input = layer_bytes(none, Recompute::kFull);
  CHECK(of_chunk(none).kept.value == doctest::Approx(12.0 * whole));
  CHECK(of_chunk(none).rebuilt.value == 0.0);
  for (const int group : {1, 2, 4, 5}) {
    CAPTURE(group);
    const ChunkActivations chunk =
        of_chunk(recomputing(fmt::format(R"("recompute": "full", "recompute_layers": {})", group).c_str()));
    const int groups = (12 + group - 1) / group;
    CHECK(chunk.kept.value == doctest::Approx(groups * input));
    // The group's first layer has its input already.
    CHECK(chunk.rebuilt.value == doctest::Approx(group * whole - input));
  }
}

TEST_CASE("block recomputation covers the first layers of a chunk") {
  const Scenario none = recomputing(R"("recompute": "none")");
  const double whole = layer_bytes(none, Recompute::kNone);
  const double input = layer_bytes(none, Recompute::kFull);
  const Scenario block = recomputing(R"("recompute": "full", "recompute_method": "block", "recompute_layers": 5)");
  CHECK(of_chunk(block).kept.value == doctest::Approx(5.0 * input + 7.0 * whole));
  CHECK(of_chunk(block).rebuilt.value == doctest::Approx(whole - input));
  CHECK(recompute_plan(block.training, 4).granularity == Recompute::kFull);
  CHECK(recompute_plan(block.training, 5).granularity == Recompute::kNone);
}

TEST_CASE("selective recomputation drops the modules that are named") {
  const Scenario listed = recomputing(R"("recompute": "selective", "recompute_modules": ["core_attention", "mlp"])");
  const RecomputePlan plan = recompute_plan(listed.training, 7);
  CHECK(plan.has(RecomputeModule::kCoreAttention));
  CHECK(plan.has(RecomputeModule::kMlp));
  CHECK_FALSE(plan.has(RecomputeModule::kNorm));
  const Scenario text = recomputing(R"("recompute": "selective", "recompute_modules": "core_attention,mlp")");
  CHECK(text.training.recompute_modules == listed.training.recompute_modules);
  // Core attention alone when nothing is named.
  CHECK(recompute_plan(recomputing(R"("recompute": "selective")").training, 0).modules ==
        std::vector{RecomputeModule::kCoreAttention});
}

TEST_CASE("options of recomputation that do not belong to its granularity are refused") {
  CHECK_THROWS_AS(recomputing(R"("recompute": "none", "recompute_layers": 2)"), UserError);
  CHECK_THROWS_AS(recomputing(R"("recompute": "selective", "recompute_method": "block")"), UserError);
  CHECK_THROWS_AS(recomputing(R"("recompute": "full", "recompute_modules": ["mlp"])"), UserError);
  CHECK_THROWS_AS(recomputing(R"("recompute": "selective", "recompute_modules": ["mpl"])"), UserError);
}

TEST_CASE("parts that the model lacks cannot be recomputed") {
  const auto fault_of = [](const std::string& model, const std::string& modules) {
    try {
      scenario_of(fmt::format(R"({{"model": "{}", "cluster": "dgx-h100", "gpus": 8, "training": {{"seq_len": 1024,
          "recompute": "selective", "recompute_modules": "{}"}}}})",
                              model, modules));
    } catch (const UserError& error) {
      return error.fault();
    }
    return Fault{};
  };
  const Fault latent = fault_of("llama-2-7b", "core_attention,latent_up");
  CHECK(latent.pointer == "/training/recompute_modules");
  CHECK(latent.found == "latent_up");
  CHECK(latent.allowed == "core_attention, activation, norm, mlp");
  CHECK(fault_of("llama-2-7b", "experts").found == "experts");
  CHECK(fault_of("mixtral-8x7b", "mlp").found == "mlp");  // all its layers have experts
  CHECK(fault_of("mixtral-8x7b", "experts,activation").pointer.empty());
  CHECK(fault_of("deepseek-v2-lite", "latent_up,mlp,experts").pointer.empty());  // one layer is dense
}

}  // namespace test_recompute
