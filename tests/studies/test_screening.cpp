// What the screen shares among layouts changes none of its answers.
#include <doctest/doctest.h>

#include <cmath>
#include <string>

#include "sim/base/json_reader.hpp"
#include "sim/program/memory_estimate.hpp"
#include "sim/schedules/schedule.hpp"
#include "sim/studies/search.hpp"

using namespace trainyard;

namespace {

Scenario job(const std::string& text) {
  return read_scenario(parse_json(text, "job.json"), "job.json");
}

// The largest relative difference between a layout's memory from the screen, which has seen others before, and by
// itself.
double largest_difference(const Scenario& asked) {
  Screen screen(asked);
  double largest = 0.0;
  for (const LayoutChoice& choice : legal_layouts(asked)) {
    Scenario alone = asked;
    apply_choice(alone, choice);
    const Bytes whole = estimate_memory(alone, make_layout(alone)).peak;
    largest = std::max(largest, std::abs(screen.memory(choice) / whole - 1.0));
  }
  return largest;
}

}  // namespace

TEST_CASE("the memory that the screen gives a layout is the estimate's, whatever was screened before") {
  CHECK(largest_difference(job(R"({"model": "megatron-18b", "cluster": "dgx-a100", "gpus": 64,
                                   "training": {"global_batch": 256}})")) == 0.0);
  // Two kinds of layers: dense ones first, then experts.
  CHECK(largest_difference(job(R"({"model": "deepseek-v2-lite", "cluster": "dgx-h100", "gpus": 32,
                                   "training": {"global_batch": 64}})")) == 0.0);
  // States that depend on the largest parts of a stage; stages cut by cost.
  CHECK(largest_difference(job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16,
                                   "training": {"global_batch": 128}, "framework": "deepspeed"})")) == 0.0);
  CHECK(largest_difference(job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16,
                                   "training": {"global_batch": 128}, "framework": "nanotron"})")) == 0.0);
}

TEST_CASE("a layout's time by formula does not depend on what was screened before") {
  const Scenario asked = job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16,
                                 "training": {"global_batch": 64}})");
  Screen screen(asked);
  for (const LayoutChoice& choice : legal_layouts(asked)) {
    CHECK(screen.step(choice) == Screen(asked).step(choice));
  }
}

TEST_CASE("the fullest moments of 1F1B are those of its first backward pass and after it") {
  // Two stages, four micro-batches. The first stage runs F F B F B F B B: at most two forward passes are held, a
  // backward runs beside them, and the last of that kind comes after a forward that follows a backward.
  const ScheduleShape shape{.stages = 2, .chunks = 1, .micro_batches = 4};
  const std::vector<PassesUnderWay> moments = fullest_moments(pass_orders(ScheduleName::kOneFOneB, shape).front(), {0});
  REQUIRE(moments.size() == 2);
  CHECK(moments[0] == PassesUnderWay{.held = {2}, .backward = {1}, .halfway = {0}, .most_held = 2, .follows = true});
  CHECK(moments[1] ==
        PassesUnderWay{
            .held = {1}, .backward = {0}, .halfway = {0}, .most_held = 2, .has_gradients = true, .follows = true});
}
