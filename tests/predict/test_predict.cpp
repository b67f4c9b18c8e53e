#include <doctest/doctest.h>

#include "sim/collectives/base/profile.hpp"
#include "sim/collectives/plan.hpp"
#include "sim/predict/predict.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_predict {

namespace {

Scenario job() {
  return read_scenario(parse_json(R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 32,
      "layout": {"tp": 4, "pp": 2}, "training": {"global_batch": 32}, "network": "analytic"})",
                                  "job.json"),
                       "job.json");
}

}  // namespace

TEST_CASE("a prediction carries every stage of the pipe, and they fit together") {
  const Scenario scenario = job();
  const Prediction prediction = predict(scenario);
  CHECK(prediction.layout.grid.ranks() == 32);
  CHECK(prediction.program.ranks() == 32);
  CHECK(prediction.timeline.ranks.size() == prediction.program.classes.size());
  CHECK(prediction.report.step == prediction.timeline.step);
  // 32 sequences of 2048 tokens a step.
  CHECK(prediction.report.tokens_per_second == doctest::Approx(32.0 * 2048.0 / prediction.report.step.value));
  CHECK(prediction.report.breakdown.total().value == doctest::Approx(prediction.report.step.value).epsilon(1e-9));
}

TEST_CASE("twice the work on the same machine takes at most twice as long, and longer than once") {
  Scenario twice = job();
  twice.training.global_batch *= 2;
  const Seconds once_step = predict(job()).timeline.step;
  const Seconds twice_step = predict(twice).timeline.step;
  CHECK(twice_step > once_step);
  CHECK(twice_step < 2.0 * once_step);
}

TEST_CASE("communication is priced by the NCCL of the framework's time") {
  const Scenario scenario = job();
  const Fabric fabric = build_fabric(scenario.cluster, 32);
  const ClusterNetworkCosts costs(scenario, fabric);
  const std::vector<DeviceId> members = {{0}, {8}, {16}, {24}};
  const CollectiveRequest request{.op = CollectiveOp::kAllReduce, .size = 64_MiB, .members = members};
  const CollectivePlan expected =
      plan_collective(request, scenario.cluster, fabric, {.nccl_version = scenario.framework.nccl_version});
  const CollectivePlan plan = costs.plan(request);
  CHECK(plan.algorithm == expected.algorithm);
  CHECK(plan.latency == expected.latency);
  CHECK(uncontended_time(plan, fabric) == uncontended_time(expected, fabric));
}

TEST_CASE("a version of NCCL that there is not is the fault of the profile that names it") {
  Scenario scenario = job();
  scenario.framework.name = "my-profile.json";
  scenario.framework.nccl_version = "1.0";
  try {
    predict(scenario);
    FAIL("accepted");
  } catch (const UserError& error) {
    CHECK(error.fault().file == "my-profile.json");
    CHECK(error.fault().pointer == "/nccl_version");
    CHECK(error.fault().found == "\"1.0\"");
    CHECK(error.fault().allowed == join_names(nccl_version_names()));
  }
}

}  // namespace test_predict
