// What schedules demand of a job, and what data-parallel strategies demand of a schedule.
#include <doctest/doctest.h>

#include <string>

#include "sim/base/json_reader.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_schedule_demands {

namespace {

// GPT-2 on eight replicas of one stage, with DeepSpeed's ZeRO stage 3.
Json sharded(const std::string& schedule, int micro_batches) {
  return {{"model", "gpt2"},
          {"cluster", "dgx-a100"},
          {"gpus", 8},
          {"training",
           {{"data_parallel", "deepspeed"},
            {"zero_stage", 3},
            {"schedule", schedule},
            {"micro_batch", 1},
            {"global_batch", 8 * micro_batches}}}};
}

Json piped(const std::string& schedule, int stages, int micro_batches) {
  return {{"model", "gpt2"},
          {"cluster", "dgx-a100"},
          {"gpus", stages},
          {"layout", {{"pp", stages}}},
          {"training", {{"schedule", schedule}, {"micro_batch", 1}, {"global_batch", micro_batches}}}};
}

}  // namespace

TEST_CASE("ZeRO stage 3 takes the schedules that run every micro-batch forward and then whole backward") {
  for (const std::string& schedule : kScheduleNames.names()) {
    CAPTURE(schedule);
    const bool takes_turns = schedule == "1f1b" || schedule == "layer-split";
    CHECK(refusal(sharded(schedule, 2)).has_value() != takes_turns);
  }
  CHECK_FALSE(refusal(sharded("gpipe", 1)).has_value());  // whose only micro-batch takes its turn
  CHECK(refusal(sharded("zb-h1", 1)).has_value());        // split backward
  const auto fault = refusal(sharded("gpipe", 2));
  REQUIRE(fault.has_value());
  CHECK(fault->pointer == "/training/schedule");
  CHECK(fault->allowed == "1f1b");
}

TEST_CASE("the two replicas of a bidirectional pipeline need even numbers, and both ends enough micro-batches") {
  CHECK_FALSE(refusal(piped("dualpipe", 4, 8)).has_value());
  CHECK(refusal(piped("dualpipe", 4, 9))->pointer == "/training/schedule");
  CHECK(refusal(piped("dualpipe", 3, 8))->pointer == "/training/schedule");
  CHECK(refusal(piped("dualpipe", 4, 6))->pointer == "/training/global_batch");
  CHECK_FALSE(refusal(piped("dualpipe-v", 3, 7)).has_value());
  const auto fault = refusal(piped("dualpipe-v", 3, 5));
  REQUIRE(fault.has_value());
  CHECK(fault->pointer == "/training/global_batch");
  CHECK(fault->allowed == "at least 6");
  CHECK_FALSE(refusal(piped("zb-v", 3, 1)).has_value());
}

}  // namespace test_schedule_demands
