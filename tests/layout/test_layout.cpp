#include <doctest/doctest.h>
#include <fmt/format.h>

#include <numeric>

#include "sim/layout/layout.hpp"
#include "tests/layout/layout_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_layout {

namespace {

std::int64_t all_stages(const Layout& layout) {
  return std::accumulate(layout.stage_parameters.begin(), layout.stage_parameters.end(), std::int64_t{0});
}

Scenario job(const std::string& model, int tp, int pp) {
  return scenario_of(
      fmt::format(R"({{"model": "{}", "cluster": "dgx-a100", "gpus": {}, "layout": {{"tp": {}, "pp": {}}}}})", model,
                  tp * pp, tp, pp));
}

// Rows by which the framework pads the vocabulary, once.
std::int64_t padding(const Scenario& scenario) {
  const std::int64_t multiple = scenario.framework.vocab_multiple * scenario.layout.tp;
  return (multiple - scenario.model.vocab % multiple) % multiple * scenario.model.hidden;
}

}  // namespace

TEST_CASE("the stages of an unsharded model hold its parameters, and a tied matrix twice once it is on two stages") {
  struct Case {
    const char* model;
    bool tied;
  };
  for (const auto& [model, tied] : {Case{"gpt2", true}, Case{"megatron-1.7b", true}, Case{"llama-2-7b", false}}) {
    for (const int pp : {1, 2, 4, 5, 8}) {
      CAPTURE(model);
      CAPTURE(pp);
      const Scenario scenario = job(model, 1, pp);
      const Layout layout = make_layout(scenario);
      const std::int64_t matrix = scenario.model.vocab * scenario.model.hidden;
      const bool twice = tied && pp > 1;
      const std::int64_t matrices = (tied && pp == 1) ? 1 : 2;
      CHECK(all_stages(layout) == parameters(scenario.model) + matrices * padding(scenario) + (twice ? matrix : 0));
    }
  }
}

TEST_CASE("tensor parallelism divides matrices and replicates norms") {
  // GPT-2 (hidden 768): a layer has 4 h^2 of attention and 8 h^2 of MLP in matrices; column-parallel biases 3 h + 4 h
  // are divided too; two norms (2 h each) and two row-parallel biases (h each) are on every rank.
  const Scenario scenario = job("gpt2", 4, 1);
  const std::int64_t h = 768;
  const std::int64_t layer = (12 * h * h + 7 * h) / 4 + 6 * h;
  // 50257 tokens padded to a multiple of 128 * 4; positions (1024) and the final norm are on every rank.
  const std::int64_t vocabulary = (50257 + 511) / 512 * 512;
  CHECK(make_layout(scenario).stage_parameters.front() == 12 * layer + vocabulary / 4 * h + 1024 * h + 2 * h);
  CHECK(tied_embedding_parameters(scenario) == vocabulary / 4 * h);
}

TEST_CASE("the shard of a layer is what the scenario says") {
  const Scenario scenario = scenario_of(R"({"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 64,
    "layout": {"tp": 8, "pp": 8, "sequence_parallel": true},
    "training": {"micro_batch": 2, "global_batch": 16, "seq_len": 1024, "precision": "fp16", "grad_dtype": "fp32"},
    "framework": "megatron-lm-2022"})");
  const Layout layout = make_layout(scenario);
  CHECK(layout.grid.ranks() == 64);
  CHECK(layout.stages.size() == 8);
  CHECK(layout.shard.micro_batch == 2);
  CHECK(layout.shard.seq_len == 1024);
  CHECK(layout.shard.tp == 8);
  CHECK(layout.shard.sequence_parallel == SequenceParallel::kOn);
  CHECK(layout.shard.precision == Precision::kFp16);
  CHECK(layout.shard.activation_element == 2_B);
  CHECK(layout.shard.gradient_element == 4_B);
  CHECK(layout.shard.padded_vocab == 51200);  // 50 * 128 * 8: nothing to pad
}

TEST_CASE("a capacity without padding leaves every expert-parallel rank what its experts keep") {
  const auto layout = [](const std::string& experts) {
    return make_layout(scenario_of(R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 16,
        "layout": {"ep": 2}, "training": {"seq_len": 1024, "experts": )" +
                                   experts + "}}"));
  };
  // Of 16 counts a capacity of the mean leaves an expert two: 2 + 2 + 2 + 2 and 1 + 1, 5/8 of all.
  const Layout dropping =
      layout(R"({"routing": {"counts": [8, 2, 2, 2, 1, 1, 0, 0]}, "capacity_factor": 1, "pad_to_capacity": false})");
  REQUIRE(dropping.expert_shards.size() == 2);
  CHECK_FALSE(dropping.expert_shards[0].padded_capacity.has_value());
  for (const ShardShape& shard : dropping.expert_shards) {
    CHECK(shard.kept_share == doctest::Approx(0.625));
    CHECK(shard.heaviest_load == doctest::Approx(1.0));
  }
  CHECK(dropping.expert_shards[0].routed_load == doctest::Approx(1.0));   // 8/16 of all on one of two ranks
  CHECK(dropping.expert_shards[1].routed_load == doctest::Approx(0.25));  // 2/16
  const Layout even = layout(R"({"capacity_factor": 0.5, "pad_to_capacity": false})");
  CHECK(even.expert_shards.empty());
  CHECK(even.shard.routed_load == 0.5);
  CHECK(even.shard.kept_share == 0.5);
  CHECK(layout(R"({"capacity_factor": 1.25})").shard.padded_capacity == 1.25);
}

}  // namespace test_layout
