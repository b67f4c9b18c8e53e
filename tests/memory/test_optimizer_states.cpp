// Bytes that optimizers keep of a parameter, and what their kernels move, against what their papers and libraries say.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/memory/model_states.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_optimizer_states {

namespace {

Scenario scenario_of(std::string_view optimizer, std::string_view strategy = "ddp", std::string_view more = "") {
  return read_scenario(
      parse_json(fmt::format(R"({{"model": "gpt2", "cluster": "dgx-a100", "gpus": 8, "training": {{"global_batch": 8,
                                 "precision": "fp32", "optimizer": "{}", "data_parallel": "{}" {}}}}})",
                             optimizer, strategy, more),
                 "job.json"),
      "job.json");
}

}  // namespace

TEST_CASE("optimizers keep the bytes that are published of them") {
  struct Kept {
    const char* optimizer;
    double bytes;
  };
  // Adam's two moments and one of momentum and Lion in fp32 (arXiv 1910.02054, 2302.06675); 8-bit Adam two bytes and
  // two scales for 256 parameters (arXiv 2110.02861); Adafactor a row and a column in the place of a matrix, of
  // gpt2's 768 x 768: 4 (768 + 768) / 768^2.
  for (const auto& [optimizer, bytes] :
       {Kept{"plain-sgd", 0.0}, Kept{"sgd", 4.0}, Kept{"momentum", 4.0}, Kept{"nesterov", 4.0}, Kept{"adam", 8.0},
        Kept{"adamw", 8.0}, Kept{"lamb", 8.0}, Kept{"lars", 4.0}, Kept{"lion", 4.0}, Kept{"adam-8bit", 2.03125},
        Kept{"adafactor", 4.0 * 1536.0 / (768.0 * 768.0)}}) {
    CAPTURE(optimizer);
    const Scenario scenario = scenario_of(optimizer);
    const Layout layout = make_layout(scenario);
    const double parameters = static_cast<double>(layout.stage_parameters.front());
    CHECK(model_states(scenario, layout, 0).optimizer.value == doctest::Approx(bytes * parameters));
  }
}

TEST_CASE("every optimizer goes with every data-parallel strategy, and shards its states as Adam's are") {
  for (const auto& [strategy, unused] : kDataParallelNames.rows) {
    const Scenario adam = scenario_of("adam", strategy);
    const double of_adam = model_states(adam, make_layout(adam), 0).optimizer.value;
    for (const auto& [optimizer, value] : kOptimizerNames.rows) {
      CAPTURE(strategy);
      CAPTURE(optimizer);
      const Scenario scenario = scenario_of(optimizer, strategy);
      const Layout layout = make_layout(scenario);
      const double states = model_states(scenario, layout, 0).optimizer.value;
      CHECK(states == doctest::Approx(of_adam * optimizer_state_bytes(scenario, layout, 0).value / 8.0));
    }
  }
}

TEST_CASE("muon keeps one moment of matrices between hidden layers and two of the rest") {
  const Scenario scenario = scenario_of("muon");
  const Layout layout = make_layout(scenario);
  // gpt2: 12 layers of 4 + 8 squares of 768; embeddings, biases and norms are AdamW's.
  const double in_matrices = 12.0 * 12.0 * 768.0 * 768.0;
  const double all = static_cast<double>(layout.stage_parameters.front());
  CHECK(layout.matrix_elements(0, Presence::kAbsent) == in_matrices);
  CHECK(model_states(scenario, layout, 0).optimizer.value ==
        doctest::Approx(4.0 * in_matrices + 8.0 * (all - in_matrices)));
}

TEST_CASE("shampoo keeps preconditioners of blocks of 1024 at most, shared out among replicas") {
  // 768 x 3072: three blocks of 768 x 1024, two squares for each side.
  CHECK(preconditioner_values(768, 3072) == 2.0 * 3.0 * (768.0 * 768.0 + 1024.0 * 1024.0));
  const Scenario scenario = scenario_of("shampoo");
  const Layout layout = make_layout(scenario);
  const double moments = 8.0 * static_cast<double>(layout.stage_parameters.front());
  const double square = 2.0 * 2.0 * 768.0 * 768.0;
  const double qkv = preconditioner_values(2304, 768);
  const double mlp = 2.0 * preconditioner_values(3072, 768);
  const double replicas = static_cast<double>(scenario.layout.dp);
  CHECK(model_states(scenario, layout, 0).optimizer.value ==
        doctest::Approx(moments + 12.0 * 4.0 * (square + qkv + mlp) / replicas));
}

TEST_CASE("a format of moments that an optimizer does not have is said to change nothing") {
  const auto says = [](std::string_view optimizer) {
    for (const std::string& note : scenario_of(optimizer, "ddp", R"(, "optimizer_dtype": "bf16")").notes) {
      if (note.find("optimizer_dtype changes nothing") != std::string::npos) {
        return true;
      }
    }
    return false;
  };
  CHECK(says("adam-8bit"));
  CHECK(says("plain-sgd"));
  CHECK_FALSE(says("adam"));
  CHECK_FALSE(says("adafactor"));
}

}  // namespace test_optimizer_states
