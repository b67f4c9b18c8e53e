// A faster machine is never slower.
#include <fmt/format.h>
#include <rapidcheck.h>

#include <array>

#include "sim/engine/simulate.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_monotonicity {

namespace {

// A bandwidth of the cluster's entry, by its pointer into it.
struct Bandwidth {
  const char* pointer;
  const char* unit;
  double value;
};

constexpr std::array<Bandwidth, 2> kBandwidths = {
    {{"/node/nics/bandwidth", "Gb/s", 200.0}, {"/node/nvlink/bandwidth", "GB/s", 25.0}}};

Json cluster_with(const Bandwidth& bandwidth, double factor) {
  static const Json kCluster = load_cluster("dgx-a100").document;
  Json cluster = kCluster;
  cluster[Json::json_pointer(bandwidth.pointer)] = fmt::format("{} {}", bandwidth.value * factor, bandwidth.unit);
  return cluster;
}

// The cluster's own prices with every communication later by a constant. (The latencies of a cluster's links are not a
// knob of these prices: the collective library's tuner has latencies of its own.)
class LateNetwork final : public NetworkCosts {
 public:
  LateNetwork(const Scenario& scenario, const Fabric& fabric, Seconds extra)
      : costs_(scenario, fabric), extra_(extra) {}
  CollectivePlan plan(const CollectiveRequest& request) const override {
    CollectivePlan plan = costs_.plan(request);
    if (!plan.flows.empty()) {
      plan.latency += extra_;
    }
    return plan;
  }

 private:
  ClusterNetworkCosts costs_;
  Seconds extra_;
};

Timeline late(const Scenario& scenario, Seconds extra) {
  const Layout layout = make_layout(scenario);
  const Program program = build_program(scenario, layout, *calibrated_kernel_costs(scenario.gpu));
  const Fabric fabric = build_fabric(scenario.cluster, static_cast<int>(scenario.gpus));
  const LateNetwork network(scenario, fabric, extra);
  return scenario.network == Network::kFlow ? simulate_flow(program, fabric, network, scenario.fold)
                                            : simulate_analytic(program, fabric, network);
}

Json any_job() {
  const auto tp = *rc::gen::element(1, 2, 4, 8);
  const auto pp = *rc::gen::element(1, 2, 4);
  const auto framework = *rc::gen::element<std::string>("megatron-core", "megatron-lm-2022");
  const auto zero = *rc::gen::inRange(0, 2);
  return Json::parse(fmt::format(R"({{"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 32,
      "layout": {{"tp": {}, "pp": {}}}, "training": {{"global_batch": 64, "zero_stage": {}}},
      "framework": "{}", "network": "analytic"}})",
                                 tp, pp, zero, framework));
}

Scenario with_cluster(Json document, const Json& cluster) {
  document["cluster"] = cluster;
  return read_scenario(document, "job.json");
}

std::vector<std::string> jobs_on_dgx() {
  std::vector<std::string> jobs = small_jobs();
  std::erase_if(jobs, [](const std::string& text) { return text.find("dgx-a100") == std::string::npos; });
  return jobs;
}

}  // namespace

TEST_CASE("more bandwidth is never slower") {
  CHECK(rc::check([] {
    const Json document = any_job();
    const Bandwidth bandwidth = kBandwidths[*rc::gen::inRange<std::size_t>(0, kBandwidths.size())];
    const double less = *rc::gen::inRange(1, 40) / 10.0;
    const double more = less * *rc::gen::inRange(10, 40) / 10.0;
    const auto step = [&](double factor) {
      return predict(with_cluster(document, cluster_with(bandwidth, factor))).timeline.step;
    };
    RC_ASSERT(step(more) <= step(less) * (1.0 + 1e-9));
  }));
}

TEST_CASE("more latency is never faster") {
  CHECK(rc::check([] {
    const Scenario scenario = read_scenario(any_job(), "job.json");
    const Seconds less = 1_us * static_cast<double>(*rc::gen::inRange(0, 100));
    const Seconds more = less + 1_us * static_cast<double>(*rc::gen::inRange(0, 500));
    RC_ASSERT(late(scenario, more).step >= late(scenario, less).step);
  }));
}

TEST_CASE("a fluid simulation with more bandwidth is not slower, and jobs on several nodes are faster") {
  int faster = 0;
  for (const std::string& text : jobs_on_dgx()) {
    CAPTURE(text);
    const Json document = Json::parse(text);
    const std::vector<Json> timelines = timelines_of_jobs({with_cluster(document, cluster_with(kBandwidths[0], 1.0)),
                                                           with_cluster(document, cluster_with(kBandwidths[0], 2.0)),
                                                           with_cluster(document, cluster_with(kBandwidths[1], 2.0))});
    const auto step = [&](std::size_t i) { return timelines[i]["step"].get<double>(); };
    CHECK(step(1) <= step(0) * (1.0 + 1e-9));
    CHECK(step(2) <= step(0) * (1.0 + 1e-9));
    faster += step(1) < step(0) ? 1 : 0;
  }
  CHECK(faster >= 2);
}

TEST_CASE("a fluid simulation with more latency is not faster, and jobs that wait for messages are slower") {
  int slower = 0;
  for (const std::string& text : jobs_on_dgx()) {
    CAPTURE(text);
    const Scenario scenario = job(text);
    const std::vector<Json> timelines =
        timelines_of({[&] { return late(scenario, 0_us); }, [&] { return late(scenario, 50_us); }});
    const double now = timelines[0]["step"];
    const double later = timelines[1]["step"];
    CHECK(later >= now * (1.0 - 1e-9));
    slower += later > now ? 1 : 0;
  }
  CHECK(slower >= 2);
}

}  // namespace test_monotonicity
