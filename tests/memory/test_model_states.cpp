// Bytes of parameters, gradients and optimizer states per parameter. Sources: ZeRO (arXiv 1910.02054, figure 1 and
// section 5), Megatron-LM docs/dist_optimizer.md, FSDP2's fp32 shards.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/memory/model_states.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/scenario/set_key.hpp"

using namespace trainyard;

namespace test_model_states {

namespace {

constexpr double kRanks = 8.0;

struct PerParameter {
  double parameters = 0.0;
  double gradients = 0.0;
  double optimizer = 0.0;
  double gathered_weights = 0.0;
  double gradient_buckets = 0.0;
  double states() const { return parameters + gradients + optimizer; }
};

struct Stage0 {
  Scenario scenario;
  Layout layout;
  double all() const { return static_cast<double>(layout.stage_parameters.front()); }
};

Stage0 job(const std::string& strategy, const std::string& grad_dtype, const std::vector<std::string>& changes = {}) {
  Json document = parse_json(R"({"model": "llama-2-7b", "cluster": "dgx-a100", "gpus": 8,
      "training": {"global_batch": 8, "precision": "bf16"}, "framework": "megatron-core"})",
                             "job.json");
  document["training"]["grad_dtype"] = grad_dtype;
  document["training"]["data_parallel"] = parse_json(strategy, "strategy");
  for (const std::string& change : changes) {
    set_key(document, change);
  }
  Scenario scenario = read_scenario(document, "job.json");
  Layout layout = make_layout(scenario);
  return {std::move(scenario), std::move(layout)};
}

PerParameter per_parameter(const Stage0& job) {
  const ModelStates states = model_states(job.scenario, job.layout, 0);
  const double all = job.all();
  return {states.parameters.value / all, states.gradients.value / all, states.optimizer.value / all,
          states.gathered_weights.value / all, states.gradient_buckets.value / all};
}

// Parameters of a llama-2-7b layer and of everything else, as the model card's shapes give them: 4 h^2 of attention,
// 3 h f of the MLP, two norms; two matrices of vocabulary times h and the last norm.
constexpr double kLayer = 4.0 * 4096.0 * 4096.0 + 3.0 * 4096.0 * 11008.0 + 2.0 * 4096.0;

}  // namespace

TEST_CASE("Megatron keeps 18 bytes a parameter with fp32 gradients, 6 + 12 / d with the distributed optimizer") {
  CHECK(per_parameter(job(R"("megatron")", "fp32", {"training.zero_stage=0"})).states() == doctest::Approx(18.0));
  CHECK(per_parameter(job(R"("megatron")", "fp32", {"training.zero_stage=1"})).states() ==
        doctest::Approx(6.0 + 12.0 / kRanks));
  // 16-bit gradients are copied to fp32: 20, and 4 + 16 / d.
  CHECK(per_parameter(job(R"("megatron")", "bf16", {"training.zero_stage=0"})).states() == doctest::Approx(20.0));
  CHECK(per_parameter(job(R"("megatron")", "bf16", {"training.zero_stage=1"})).states() ==
        doctest::Approx(4.0 + 16.0 / kRanks));
}

TEST_CASE("ZeRO's stages keep 4 + 12 / d, 2 + 14 / d and 16 / d bytes a parameter") {
  const auto states = [](int stage) {
    return per_parameter(job(R"({"strategy": "deepspeed", "param_persistence_threshold": 0})", "bf16",
                             {fmt::format("training.zero_stage={}", stage)}))
        .states();
  };
  CHECK(states(0) == doctest::Approx(16.0));
  CHECK(states(1) == doctest::Approx(4.0 + 12.0 / kRanks));
  CHECK(states(2) == doctest::Approx(2.0 + 14.0 / kRanks));
  CHECK(states(3) == doctest::Approx(16.0 / kRanks));
}

TEST_CASE("ZeRO stage 3 keeps parameters below the threshold whole") {
  // 32 layers of two norms: 7/8 of their 16-bit numbers more than shards alone.
  const auto parameters = [](const char* strategy) {
    const Stage0 sharded = job(strategy, "bf16", {"training.zero_stage=3"});
    return per_parameter(sharded).parameters * sharded.all();
  };
  CHECK(parameters(R"("deepspeed")") - parameters(R"({"strategy": "deepspeed", "param_persistence_threshold": 0})") ==
        doctest::Approx(2.0 * 7.0 / 8.0 * 32.0 * 2.0 * 4096.0));
}

TEST_CASE("FSDP keeps 16 / d bytes a parameter in fp32 shards, HSDP 16 / shard") {
  CHECK(per_parameter(job(R"("fsdp")", "fp32")).states() == doctest::Approx(16.0 / kRanks));
  CHECK(per_parameter(job(R"("hsdp")", "fp32", {"layout.hsdp_shard=2"})).states() == doctest::Approx(16.0 / 2.0));
}

TEST_CASE("FSDP holds as many gathered layers as may be in flight beside the root, or all when it does not reshard") {
  const Stage0 resharding = job(R"({"strategy": "fsdp", "gathers_in_flight": 2})", "bf16");
  const double outer = resharding.all() - 32.0 * kLayer;
  CHECK(per_parameter(resharding).gathered_weights * resharding.all() ==
        doctest::Approx(2.0 * (outer + 2.0 * kLayer)).epsilon(1e-9));
  CHECK(per_parameter(job(R"({"strategy": "fsdp", "reshard_after_forward": false})", "bf16")).gathered_weights ==
        doctest::Approx(2.0));
}

TEST_CASE("gradients that wait for the last micro-batch are kept whole") {
  const auto buckets = [](const char* sync) {
    return per_parameter(job(fmt::format(R"({{"strategy": "fsdp", "gradient_sync": "{}"}})", sync), "bf16"))
        .gradient_buckets;
  };
  CHECK(buckets("last-micro-batch") == doctest::Approx(2.0));
  CHECK(buckets("every-micro-batch") < 0.3);
}

TEST_CASE("DDP's buckets are a copy of all gradients") {
  CHECK(per_parameter(job(R"("ddp")", "fp32")).gradient_buckets == doctest::Approx(4.0));
}

TEST_CASE("ZeRO 3 holds no more gathered parameters than it may") {
  const auto gathered = [](double live) {
    const Stage0 stage = job(fmt::format(R"({{"strategy": "deepspeed", "max_live_parameters": {}}})", live), "bf16",
                             {"training.zero_stage=3"});
    return per_parameter(stage).gathered_weights * stage.all();
  };
  CHECK(gathered(0.0) == doctest::Approx(2.0 * kLayer).epsilon(1e-9));  // the unit in use
  CHECK(gathered(2e8) == doctest::Approx(2.0 * (kLayer + 2e8)).epsilon(1e-9));
  CHECK(gathered(1e12) <= 2.0 * 6.8e9);
}

TEST_CASE("parameters stored as 8-bit operands take a byte for each copy, beside the fp32 master that is shared out") {
  const auto parameters = [](const char* stored) {
    Json document = parse_json(R"({"model": "llama-2-7b", "cluster": "dgx-h100", "gpus": 8,
        "training": {"global_batch": 8, "precision": "fp8", "zero_stage": 1}, "framework": "megatron-core"})",
                               "job.json");
    document["training"]["param_dtype"] = stored;
    const Scenario scenario = read_scenario(document, "job.json");
    const Layout layout = make_layout(scenario);
    return model_states(scenario, layout, 0).parameters.value / static_cast<double>(layout.stage_parameters.front());
  };
  CHECK(parameters("fp8") == doctest::Approx(2.0));   // as it is, and transposed
  CHECK(parameters("bf16") == doctest::Approx(4.0));  // and in 16 bits
}

TEST_CASE("DeepSpeed's step copies the gradients it updates with: flat, and in fp32") {
  // Of a parameter and rank: averaged gradients 2, flat copy 2, fp32 copy 4 bytes; with fp32 gradients 4, 4 and none.
  const auto update = [](int stage, const char* grad_dtype, const std::vector<std::string>& more = {}) {
    std::vector<std::string> changes = {fmt::format("training.zero_stage={}", stage)};
    changes.insert(changes.end(), more.begin(), more.end());
    const Stage0 one = job(R"({"strategy": "deepspeed", "param_persistence_threshold": 0})", grad_dtype, changes);
    return model_states(one.scenario, one.layout, 0).update_gradients.value().value / one.all();
  };
  CHECK(update(1, "bf16") == doctest::Approx(8.0 / kRanks));
  CHECK(update(2, "bf16") == doctest::Approx(8.0 / kRanks));
  CHECK(update(2, "fp32") == doctest::Approx(8.0 / kRanks));
  CHECK(update(0, "bf16") == doctest::Approx(8.0));
  // Stage 3 updates a group of parameters at a time: 6.74e9 / 8 fit into one of 1e9, and a smaller one is all it
  // copies.
  CHECK(update(3, "bf16") == doctest::Approx((2.0 + 6.0) / kRanks));
  CHECK(update(3, "bf16", {"training.data_parallel.sub_group_size=0"}) == doctest::Approx(2.0 / kRanks));
  CHECK(update(2, "bf16", {"training.offload.optimizer=1"}) == doctest::Approx(0.0));  // the host updates
}

TEST_CASE("a second micro-batch's partition of gradients stands beside the first's sum in stage 2 alone") {
  const auto gradients = [](int stage, int global_batch) {
    return per_parameter(job(R"("deepspeed")", "bf16",
                             {fmt::format("training.zero_stage={}", stage),
                              fmt::format("training.global_batch={}", global_batch)}))
        .gradients;
  };
  CHECK(gradients(2, 8) == doctest::Approx(2.0 / kRanks));
  CHECK(gradients(2, 16) == doctest::Approx(4.0 / kRanks));
  CHECK(gradients(1, 16) == doctest::Approx(2.0));
  CHECK(gradients(3, 16) == doctest::Approx(2.0 / kRanks));
}

}  // namespace test_model_states
