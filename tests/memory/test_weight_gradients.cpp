// What a split backward pass keeps for the gradients of the weights.
#include <doctest/doctest.h>

#include "models/activations.hpp"
#include "sim/layout/layout.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_weight_gradients {

namespace {

Scenario scenario_of(const char* text) {
  return read_scenario(parse_json(text, "job.json"), "job.json");
}

}  // namespace

TEST_CASE("a GPT layer keeps 32 s b h bytes for the gradients of its weights") {
  // arXiv 2401.10241, section 3: inputs and output gradients of four linears, in 16 bits:
  // (h + 3h) + (h + h) + (h + 4h) + (4h + h) numbers a token.
  const Scenario scenario = scenario_of(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 1})");
  const Layout layout = make_layout(scenario);
  const double tokens = 1024.0;
  CHECK(weight_gradient_bytes(scenario.model, {}, layout.shard, scenario.framework.operators).value ==
        doctest::Approx(32.0 * tokens * 1024.0));
}

TEST_CASE("experts keep the operands of their grouped GEMMs, in one kernel or in many") {
  Scenario scenario = scenario_of(R"({"model": "mixtral-8x7b", "cluster": "dgx-h100", "gpus": 1,
      "training": {"seq_len": 4096, "experts": {"routing": "uniform"}}})");
  const Layout layout = make_layout(scenario);
  const LayerKind kind = layer_kind(scenario.model, 0);
  const double h = 4096.0;
  const double f = 14336.0;
  // Attention with 8 of 32 key and value heads; the router; two experts a token: up to 2 f and down from f.
  const double numbers = (h + (h + 2.0 * h / 4.0)) + 2.0 * h + (h + 8.0) + 2.0 * ((h + 2.0 * f) + (f + h));
  CHECK(weight_gradient_bytes(scenario.model, kind, layout.shard, scenario.framework.operators).value ==
        doctest::Approx(2.0 * 4096.0 * numbers));
  scenario.framework.operators.grouped_gemm = Fusion::kOff;
  CHECK(weight_gradient_bytes(scenario.model, kind, layout.shard, scenario.framework.operators).value ==
        doctest::Approx(2.0 * 4096.0 * numbers));
}

}  // namespace test_weight_gradients
