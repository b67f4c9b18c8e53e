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

}  // namespace test_layout
