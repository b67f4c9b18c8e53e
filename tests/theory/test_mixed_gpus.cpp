// Clusters whose nodes hold different GPUs.
#include <fmt/format.h>

#include <cmath>

#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_mixed_gpus {

namespace {

// `first` nodes as dgx-a100's, then nodes as `second`'s, on the network of dgx-a100.
Json mixed_cluster(int first, const char* second, const char* second_gpu = nullptr) {
  Json cluster = load_cluster("dgx-a100").document;
  const Json other = load_cluster(second).document;
  Json groups = Json::array();
  groups.push_back({{"nodes", first}, {"node", cluster["node"]}});
  groups.push_back({{"nodes", 1000},
                    {"node", other["node"]},
                    {"gpu", second_gpu == nullptr ? other["gpu"] : Json(second_gpu)},
                    {"collective_profile", other["collective_profile"]},
                    {"collective_calibration", other["collective_calibration"]}});
  cluster.erase("node");
  cluster["node_groups"] = groups;
  return cluster;
}

Scenario on(const Json& cluster, int gpus, const char* rest, const std::vector<std::string>& changes = {}) {
  Json document = parse_json(rest, "job.json");
  document["cluster"] = cluster;
  document["gpus"] = gpus;
  return job(document.dump(), changes);
}

constexpr const char* kReplicas =
    R"({"model": "megatron-1.7b", "training": {"global_batch": 256}, "framework": "megatron-lm-2022"})";
constexpr const char* kPipeline = R"({"model": "llama-2-7b", "layout": {"tp": 8, "pp": 2},
                                      "training": {"global_batch": 64}})";

double step_of(const Scenario& scenario) {
  return predict(scenario).timeline.step.value;
}

}  // namespace

TEST_CASE("nodes of two kinds that are the same are a uniform cluster, to the bit") {
  const Json uniform = load_cluster("dgx-a100").document;
  const Json twice = mixed_cluster(2, "dgx-a100");
  std::vector<Scenario> jobs;
  for (const char* rest : {kReplicas, kPipeline}) {
    for (const char* network : {"network=flow", "network=analytic"}) {
      jobs.push_back(on(uniform, 32, rest, {network}));
      jobs.push_back(on(twice, 32, rest, {network}));
    }
  }
  const std::vector<Json> timelines = timelines_of_jobs(jobs);
  for (std::size_t i = 0; i < timelines.size(); i += 2) {
    CHECK(timelines[i] == timelines[i + 1]);
  }
}

TEST_CASE("a folded job on different GPUs does what the whole one does, at every rank") {
  std::vector<Scenario> jobs;
  for (const char* rest :
       {kReplicas, kPipeline,
        R"({"model": "megatron-1.7b", "layout": {"tp": 4, "pp": 2, "order": "tp-cp-ep-pp-dp"},
                               "training": {"global_batch": 32, "zero_stage": 1}})",
        R"({"model": "gpt2-medium", "framework": "torchtitan", "training": {"global_batch": 32}})"}) {
    for (const char* second : {"dgx-h100", "dgx-a100-40"}) {
      jobs.push_back(on(mixed_cluster(1, second), 32, rest, {"fold=true"}));
      jobs.push_back(on(mixed_cluster(1, second), 32, rest, {"fold=false"}));
    }
  }
  const std::vector<Json> timelines = timelines_of_jobs(jobs);
  for (std::size_t i = 0; i < jobs.size(); i += 2) {
    CAPTURE(i);
    const Json& folded = timelines[i];
    const Json& whole = timelines[i + 1];
    const double step = whole["step"];
    CHECK(std::abs(folded["step"].get<double>() - step) <= 1e-9 * step);
    CHECK(folded["ranks"].size() < whole["ranks"].size());
    for (const Json& rank : folded["ranks"]) {
      const Json& same = whole["ranks"][rank["rank"].get<std::size_t>()];
      CHECK(std::abs(rank["end"].back().get<double>() - same["end"].back().get<double>()) <= 1e-9 * step);
    }
  }
}

TEST_CASE("replicas on different GPUs keep the pace of the slowest") {
  const double slow = step_of(on(load_cluster("dgx-a100").document, 32, kReplicas, {"network=analytic"}));
  const double fast = step_of(on(load_cluster("dgx-h100").document, 32, kReplicas, {"network=analytic"}));
  const Prediction both = predict(on(mixed_cluster(2, "dgx-h100"), 32, kReplicas, {"network=analytic"}));
  // Gradients go round over the same NICs, those of the A100 nodes.
  CHECK(both.timeline.step.value == doctest::Approx(slow).epsilon(0.01));
  CHECK(both.timeline.step.value > 1.2 * fast);
  // Half of the GPUs wait meanwhile.
  CHECK(both.report.breakdown.bubble.value > 0.4 * (slow - fast));
  // Of the mean of 312 and 989 TFLOP/s.
  CHECK(both.report.mfu * (312e12 + 989.4e12) / 2.0 ==
        doctest::Approx(both.report.model_flops_per_gpu.value).epsilon(1e-3));
}

TEST_CASE("a pipeline is faster with more layers on the faster GPUs") {
  // 32 layers: the first stage on A100 nodes, the second on H100 nodes.
  const Json cluster = mixed_cluster(2, "dgx-h100");
  const double even = step_of(on(cluster, 32, kPipeline, {"network=analytic"}));
  const double uneven = step_of(on(cluster, 32, kPipeline, {"network=analytic", "layout.layers_per_stage=[12,20]"}));
  const double reversed = step_of(on(cluster, 32, kPipeline, {"network=analytic", "layout.layers_per_stage=[20,12]"}));
  CHECK(uneven < 0.9 * even);
  CHECK(reversed > 1.1 * even);
}

TEST_CASE("the engines agree where different GPUs share nothing") {
  const std::vector<Json> timelines =
      timelines_of_jobs({on(mixed_cluster(1, "dgx-h100"), 16, kReplicas, {"network=flow"}),
                         on(mixed_cluster(1, "dgx-h100"), 16, kReplicas, {"network=analytic"}),
                         on(mixed_cluster(2, "dgx-h100"), 32, kPipeline, {"network=flow"}),
                         on(mixed_cluster(2, "dgx-h100"), 32, kPipeline, {"network=analytic"})});
  CHECK(timelines[0]["step"].get<double>() == doctest::Approx(timelines[1]["step"].get<double>()).epsilon(0.02));
  CHECK(timelines[2]["step"].get<double>() == doctest::Approx(timelines[3]["step"].get<double>()).epsilon(0.02));
}

TEST_CASE("a stage fits when it fits in the smallest of its GPUs") {
  // The second stage stands on nodes of 40 GB.
  const Json cluster = mixed_cluster(1, "dgx-a100-40");
  const auto memory = [&](const char* rest) {
    return predict(on(cluster, 16, rest, {"network=analytic"})).report.memory;
  };
  const MemoryEstimate pipeline =
      memory(R"({"model": "llama-2-7b", "layout": {"tp": 8, "pp": 2}, "training": {"global_batch": 8}})");
  const Bytes large = load_gpu("a100-80").memory;
  const Bytes small = load_gpu("a100-40").memory;
  REQUIRE(pipeline.stages.size() == 2);
  CHECK(pipeline.stages[0].capacity == large);
  CHECK(pipeline.stages[1].capacity == small);
  // The first stage holds more, the second has less to spare.
  CHECK(pipeline.fullest() == 1);
  CHECK(pipeline.capacity == small);
  CHECK(pipeline.fits());
  const MemoryEstimate replicas =
      memory(R"({"model": "llama-2-7b", "layout": {"tp": 8}, "training": {"global_batch": 8}})");
  REQUIRE(replicas.stages.size() == 1);
  CHECK(replicas.stages[0].capacity == small);
  // Half a model of seven billion parameters with its optimizer, 18 bytes each, needs 60 GB: more than the second
  // stage's GPUs have and less than the first's.
  const MemoryEstimate halves = memory(R"({"model": "llama-2-7b", "layout": {"tp": 1, "pp": 2},
                                           "training": {"global_batch": 8, "zero_stage": 0}})");
  CHECK(halves.stages[0].total < large);
  CHECK(halves.stages[1].total > small);
  CHECK(halves.fullest() == 1);
  CHECK_FALSE(halves.fits());
}

}  // namespace test_mixed_gpus
