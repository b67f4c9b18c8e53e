// What the screen shares among layouts changes none of its answers.
#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/memory/fullest_moments.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/schedules/schedule.hpp"
#include "sim/studies/search.hpp"
#include "tests/sanitized.hpp"

using namespace trainyard;

namespace test_screening {

namespace {

OpenJob job(const std::string& text) {
  return {parse_json(text, "job.json"), "job.json"};
}

// Every legal layout, with sanitizers one in nine, with its scenario, read anew from what the choice resolved to.
std::vector<std::pair<LayoutChoice, Scenario>> legal(const OpenJob& asked) {
  std::vector<std::pair<LayoutChoice, Scenario>> out;
  std::size_t seen = 0;
  for (const LayoutChoice& choice : candidate_layouts(asked)) {
    if (checks::kSanitized && seen++ % 9 != 0) {
      continue;
    }
    try {
      out.emplace_back(choice, read_scenario(asked.scenario(choice).resolved, "row"));
    } catch (const UserError&) {
      continue;
    }
  }
  return out;
}

// The largest relative difference between a layout's memory from the screen, which has seen others before, and what
// `run` would say of the layout by itself.
double largest_difference(const OpenJob& asked) {
  Screen screen(asked.stated());
  double largest = 0.0;
  for (const auto& [choice, alone] : legal(asked)) {
    const MemoryEstimate whole = estimate_memory(alone, make_layout(alone));
    const MemoryScreen::Need need = screen.memory(asked.scenario(choice), choice);
    largest = std::max(largest, std::abs(need.peak / whole.peak - 1.0));
    CHECK(need.fits == whole.fits());
  }
  return largest;
}

}  // namespace

TEST_CASE("the memory that the screen gives a layout is the estimate's, whatever was screened before") {
  CHECK(largest_difference(job(R"({"model": "megatron-18b", "cluster": "dgx-a100", "gpus": 64,
                                   "training": {"global_batch": 256}})")) == 0.0);
  // Two kinds of layers: dense ones first, then experts, shared out in many ways.
  CHECK(largest_difference(job(R"({"model": "deepseek-v2-lite", "cluster": "dgx-h100", "gpus": 16,
                                   "training": {"global_batch": 64, "micro_batch": 1}})")) == 0.0);
  // States that depend on the largest parts of a stage; stages cut by cost; parameters shared out.
  for (const std::string framework : {"deepspeed", "nanotron", "torchtitan", "composer-fsdp", "internevo"}) {
    CAPTURE(framework);
    CHECK(largest_difference(job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16, "framework": ")" +
                                 framework + R"(", "training": {"global_batch": 64}})")) == 0.0);
  }
  // The fullest stage is not the largest: GPUs of 40 and of 80 GB. Schedules that hold more than 1F1B does.
  CHECK(largest_difference(job(R"({"model": "gpt2-medium", "cluster": "mixed-a100-h100", "gpus": 64,
                                   "training": {"global_batch": 64}})")) == 0.0);
  CHECK(largest_difference(job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16,
                                   "training": {"global_batch": 64, "schedule": "gpipe"}})")) == 0.0);
}

TEST_CASE("a layout's time by formula does not depend on what was screened before") {
  const OpenJob asked = job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16,
                                "layout": {"pp": 4}, "training": {"global_batch": 64}})");
  Screen screen(asked.stated());
  for (const auto& [choice, alone] : legal(asked)) {
    CHECK(screen.step(alone, choice) == Screen(asked.stated()).step(alone, choice));
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

}  // namespace test_screening
