// Unequal GPUs and jitter in whole jobs.
#include <fmt/format.h>

#include <cmath>

#include "sim/predict/answer.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_variation {

namespace {

constexpr const char* kOneSlowNode = R"(variation.stragglers=[{"node": 1, "slowdown": 1.2}])";

// 32 replicas of a model whose kernels are longer than their issue, each on a GPU, eight micro-batches.
constexpr const char* kReplicas = R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 32,
    "training": {"global_batch": 256}, "framework": "megatron-lm-2022"})";

std::vector<double> steps_of(const std::vector<Scenario>& jobs) {
  std::vector<double> steps;
  for (const Json& timeline : timelines_of_jobs(jobs)) {
    steps.push_back(timeline["step"]);
  }
  return steps;
}

}  // namespace

TEST_CASE("a folded job with a straggler does what the whole one does, at every rank") {
  const std::vector<std::string> texts = {
      R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 32, "layout": {"tp": 8, "pp": 2},
          "training": {"global_batch": 16}})",
      R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 32, "layout": {"tp": 2, "pp": 4},
          "training": {"global_batch": 32, "zero_stage": 1}})",
      R"({"model": "megatron-1.7b", "cluster": "a100-hdr-800g", "gpus": 32, "layout": {"tp": 8, "pp": 2},
          "training": {"global_batch": 16, "zero_stage": 1}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 16, "framework": "torchtitan",
          "training": {"global_batch": 32}})",
      R"({"model": "qwen1.5-moe-a2.7b", "cluster": "dgx-h100", "gpus": 16, "layout": {"pp": 2, "tp": 2, "ep": 4, "etp": 1},
          "training": {"global_batch": 8}})"};
  const std::vector<std::string> variations = {kOneSlowNode,
                                               R"(variation={"stragglers": [{"ranks": 3, "slowdown": 1.5}]})",
                                               R"(variation={"kernel_jitter": 0.05, "network_jitter": 0.1})"};
  std::vector<Scenario> jobs;
  for (const std::string& text : texts) {
    for (const std::string& variation : variations) {
      jobs.push_back(job(text, {variation, "fold=true"}));
      jobs.push_back(job(text, {variation, "fold=false"}));
    }
  }
  const std::vector<Json> timelines = timelines_of_jobs(jobs);
  for (std::size_t i = 0; i < jobs.size(); i += 2) {
    CAPTURE(jobs[i].resolved.dump());
    const Json& folded = timelines[i];
    const Json& whole = timelines[i + 1];
    const double step = whole["step"];
    CHECK(std::abs(folded["step"].get<double>() - step) <= 1e-9 * step);
    std::int64_t represented = 0;
    for (const Json& rank : folded["ranks"]) {
      represented += rank["multiplicity"].get<std::int64_t>();
      const Json& same = whole["ranks"][rank["rank"].get<std::size_t>()];
      REQUIRE(same["rank"] == rank["rank"]);
      CHECK(std::abs(rank["end"].back().get<double>() - same["end"].back().get<double>()) <= 1e-9 * step);
    }
    CHECK(represented == jobs[i].gpus);
  }
}

TEST_CASE("replicas that wait for a straggler take as much longer as its kernels do") {
  const Report alike = predict(job(kReplicas, {"network=analytic"})).report;
  const Report waiting = predict(job(kReplicas, {"network=analytic", kOneSlowNode})).report;
  // A fifth more for everything that a GPU computes and that nothing runs beside; the host's and the network's share
  // stay.
  const Seconds device = alike.breakdown.compute + alike.breakdown.optimizer;
  CHECK(waiting.step.value == doctest::Approx((alike.step + device * 0.2).value).epsilon(1e-3));
  // One slow node is as bad for the step as if all were slow.
  const std::vector<double> steps =
      steps_of({job(kReplicas, {kOneSlowNode}),
                job(kReplicas, {R"(variation.stragglers=[{"ranks": "0-31", "slowdown": 1.2}])"})});
  CHECK(steps[0] == doctest::Approx(steps[1]).epsilon(1e-9));
  CHECK(steps[0] == doctest::Approx(waiting.step.value).epsilon(1e-3));
  // What the others wait is no work of theirs: of 32 GPUs eight work a fifth longer.
  CHECK(waiting.breakdown.compute.value ==
        doctest::Approx(alike.breakdown.compute.value * (1.0 + 0.2 * 8.0 / 32.0)).epsilon(1e-3));
}

TEST_CASE("a straggler leaves most of a large job folded") {
  const char* text = R"({"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 1024, "layout": {"tp": 8, "pp": 8},
                         "training": {"global_batch": 128}})";
  const std::vector<Json> timelines =
      timelines_of_jobs({job(text, {kOneSlowNode}), job(text, {kOneSlowNode, "network=analytic"})});
  // Of each of the eight stages the GPUs of a node stay together; the rings of data parallelism tell the sixteen nodes
  // of a stage apart by their distance from the slow one.
  CHECK(timelines[0]["ranks"].size() == 128);
  // By formula rings have no places: of each stage the replica with the slow node and the others.
  CHECK(timelines[1]["ranks"].size() == 16);
  // No flow holds another up, and every group is priced at its own place: the engines agree.
  CHECK(timelines[1]["step"].get<double>() == doctest::Approx(timelines[0]["step"].get<double>()).epsilon(1e-9));
}

TEST_CASE("a straggler among thousands leaves all alike that it does not meet, where no flow holds another up") {
  const char* text = R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 4096, "layout": {"pp": 2},
                         "training": {"global_batch": 4096}})";
  const std::vector<Json> timelines =
      timelines_of_jobs({job(text, {kOneSlowNode}), job(text, {kOneSlowNode, "fold=false"})});
  const Json& folded = timelines[0];
  const Json& whole = timelines[1];
  // By its place in the rings every node is a class. Without links these are: the slow node, the node of the other
  // stage that works with it, and all others of either stage.
  CHECK(folded["ranks"].size() == 4);
  REQUIRE(whole["ranks"].size() == 4096);
  CHECK(folded["step"] == whole["step"]);
  for (const Json& rank : folded["ranks"]) {
    const Json& same = whole["ranks"][rank["rank"].get<std::size_t>()];
    for (const char* column : {"moving", "end"}) {
      CHECK(rank[column] == same[column]);
    }
  }
}

TEST_CASE("jitter makes steps longer by about the mean of the slowest, over seeds") {
  std::vector<Scenario> jobs = {job(kReplicas, {"network=analytic"})};
  for (int seed = 0; seed < 8; ++seed) {
    jobs.push_back(job(kReplicas, {"network=analytic", "variation.kernel_jitter=0.1", fmt::format("seed={}", seed)}));
  }
  jobs.push_back(jobs[1]);
  jobs.push_back(job(kReplicas, {"network=analytic", "variation.kernel_jitter=0", "seed=5"}));
  const std::vector<double> steps = steps_of(jobs);
  double mean = 0.0;
  for (int seed = 0; seed < 8; ++seed) {
    const double step = steps[static_cast<std::size_t>(seed) + 1];
    CHECK(step > steps[0]);
    CHECK(step < 1.1 * steps[0]);
    mean += step / 8.0;
  }
  CHECK(mean < 1.05 * steps[0]);
  CHECK(steps[1] != steps[2]);
  CHECK(steps[9] == steps[1]);
  CHECK(steps[10] == steps[0]);
}

TEST_CASE("a step with a straggler is folded over its micro-batches, one with jitter is not") {
  const char* text = R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8,
      "layout": {"tp": 2, "pp": 4, "dp": 1}, "training": {"global_batch": 256}, "framework": "megatron-lm-2022"})";
  const std::vector<Scenario> jobs = {job(text, {R"(variation.stragglers=[{"ranks": "2-3", "slowdown": 1.3}])"}),
                                      job(text, {"variation.kernel_jitter=0.01"})};
  const auto outputs = run_in_children(4, available_processors(), [&](std::size_t task) {
    const Scenario& asked = jobs[task / 2];
    const Report report = task % 2 == 0 ? predict(asked).report : answer(asked).report;
    return Json{{"step", report.step.value}, {"simulated", report.micro_batches_simulated}}.dump();
  });
  std::vector<Json> results;
  for (const auto& output : outputs) {
    REQUIRE(output.has_value());
    results.push_back(Json::parse(*output));
  }
  CHECK(results[1]["step"].get<double>() == doctest::Approx(results[0]["step"].get<double>()).epsilon(1e-9));
  CHECK(results[1]["simulated"].get<int>() < 256);
  CHECK(results[3]["step"] == results[2]["step"]);
  CHECK(results[3]["simulated"] == 256);
}

}  // namespace test_variation
