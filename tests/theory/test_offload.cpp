// Copies to and from the host: closed forms, limits and agreement of the engines.
#include <fmt/format.h>

#include <cmath>

#include "sim/engine/simulate.hpp"
#include "sim/memory/offload.hpp"
#include "sim/program/assembly/build_program.hpp"
#include "sim/program/state_offload.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_offload {

namespace {

// Kernels take no time: what is left are copies and the host's update.
class FreeKernels final : public KernelCosts {
 public:
  Seconds gemm(const Gemm& /*work*/) const override { return {}; }
  Seconds grouped_gemm(const GroupedGemm& /*work*/) const override { return {}; }
  Seconds attention(const Attention& /*work*/) const override { return {}; }
  Seconds convolution(const Convolution& /*work*/) const override { return {}; }
  Seconds memory_bound(const MemoryBound& /*work*/) const override { return {}; }
};

Scenario one_gpu(const std::string& offload) {
  Scenario scenario = job(fmt::format(R"({{"model": "gpt2-medium", "cluster": "dgx-h100", "gpus": 1,
      "training": {{"global_batch": 1, "recompute": "none", "offload": {}}}}})",
                                      offload));
  scenario.framework.host = {};
  return scenario;
}

double step_without_kernels(const Scenario& scenario) {
  const Fabric fabric = build_fabric(scenario.cluster, static_cast<int>(scenario.gpus));
  const Program program = build_program(scenario, make_layout(scenario), FreeKernels());
  return simulate_analytic(program, fabric, ClusterNetworkCosts(scenario, fabric)).step.value;
}

// A copy between an H100 and its host: 63 GB/s at 0.873, and two links of 0.5 us.
double copy_seconds(double bytes) {
  return bytes / (63e9 * 0.873) + 1e-6;
}

// gpt2-medium on one node with a fabric and hosts that are free.
Scenario eight_gpus(const std::string& training, bool free_copies) {
  Json document = parse_json(R"({"model": "gpt2-medium", "gpus": 8, "network": "analytic"})", "job.json");
  document["training"] = parse_json(training, "training");
  document["training"]["global_batch"] = 16;
  document["cluster"] = load_cluster("dgx-h100").document;
  if (free_copies) {
    Json& node = document["cluster"]["node"];
    node["pcie"]["bandwidth"] = "1e9 TB/s";
    node["pcie"]["latency"] = "0 us";
    node["host"]["bandwidth"] = "1e9 TB/s";
  }
  return read_scenario(document, "job.json");
}

double step_of(Scenario scenario) {
  scenario.framework.host = {};
  return predict(scenario).timeline.step.value;
}

}  // namespace

TEST_CASE("activations alone take the time of their bytes on the link, there and back") {
  const Scenario scenario = one_gpu(R"({"activations": 1})");
  const Layout layout = make_layout(scenario);
  double expected = 0.0;
  for (const Bytes layer : offloaded_activations(scenario, layout.shard, layout.stages.front().chunks.front())) {
    expected += 2.0 * copy_seconds(layer.value);
  }
  CHECK(step_without_kernels(scenario) == doctest::Approx(expected).epsilon(1e-9));
}

TEST_CASE("the host's update is a pipeline of gradients, update and parameters") {
  // 30 bytes a parameter through 0.46 of 614.4 GB/s are slower than 4 bytes and 2 over PCIe, so the update sets the
  // pace: the first piece's gradients, every piece's update, the last piece's parameters.
  const Scenario scenario = one_gpu(R"({"optimizer": 1})");
  const double parameters = static_cast<double>(make_layout(scenario).stage_parameters.front());
  const double pieces = static_cast<double>(make_layout(scenario).units.front().size());
  const double piece = parameters / pieces;
  const double update = piece * 30.0 / (614.4e9 * 0.46);
  REQUIRE(update > copy_seconds(4.0 * piece));
  CHECK(step_without_kernels(scenario) ==
        doctest::Approx(copy_seconds(4.0 * piece) + pieces * update + copy_seconds(2.0 * piece)).epsilon(1e-9));
  // In one piece nothing overlaps.
  const Scenario whole = one_gpu(R"({"optimizer": 1, "prefetch": false})");
  CHECK(
      step_without_kernels(whole) ==
      doctest::Approx(copy_seconds(4.0 * parameters) + pieces * update + copy_seconds(2.0 * parameters)).epsilon(1e-9));
}

TEST_CASE("the ranks of a node share its host's memory") {
  const Scenario one = one_gpu(R"({"optimizer": 1})");
  const Scenario eight = eight_gpus(R"({"offload": {"optimizer": 1}})", false);
  const OptimizerShard shard{.parameters = 1e9, .gradient = Bytes{4.0}, .model_copy = Bytes{2.0}};
  CHECK(host_update_time(eight, shard, 1e9).value == doctest::Approx(8.0 * host_update_time(one, shard, 1e9).value));
}

TEST_CASE("with infinitely fast copies offloaded activations and weights cost nothing") {
  for (const char* strategy : {R"("recompute": "none")", R"("recompute": "full", "recompute_layers": 2)"}) {
    const double kept = step_of(eight_gpus(fmt::format("{{{}}}", strategy), true));
    const double offloaded =
        step_of(eight_gpus(fmt::format(R"({{{}, "offload": {{"activations": 1}}}})", strategy), true));
    CHECK(offloaded == doctest::Approx(kept).epsilon(1e-9));
  }
  const char* fsdp = R"("data_parallel": "fsdp", "optimizer": "sgd")";
  const double kept = step_of(eight_gpus(fmt::format("{{{}}}", fsdp), true));
  const double offloaded = step_of(eight_gpus(fmt::format(R"({{{}, "offload": {{"weights": 1}}}})", fsdp), true));
  // The update itself runs for nothing on a host without limits.
  CHECK(offloaded <= kept);
  CHECK(offloaded > 0.97 * kept);
}

TEST_CASE("copies ahead of their use are never slower than copies at their use, and faster where there is time") {
  for (const char* how :
       {R"("offload": {{"activations": 1, "prefetch": {}}})", R"("offload": {{"optimizer": 1, "prefetch": {}}})",
        R"("data_parallel": "fsdp", "offload": {{"weights": 1, "prefetch": {}}})"}) {
    CAPTURE(how);
    const auto step = [&](const char* prefetch) {
      return step_of(eight_gpus("{" + fmt::format(fmt::runtime(how), prefetch) + "}", false));
    };
    CHECK(step("true") < step("false"));
  }
}

TEST_CASE("with a switch for every GPU the engines agree about copies; two GPUs behind one share its link") {
  const std::string text = R"({{"model": "gpt2-medium", "cluster": "{}", "gpus": 2, "layout": {{"tp": 2}},
      "training": {{"global_batch": 1, "recompute": "none", "offload": {{"activations": 1}}}}, "network": "{}"}})";
  std::vector<Scenario> scenarios;
  for (const char* cluster : {"dgx-h100", "dgx-a100"}) {
    for (const char* network : {"flow", "analytic"}) {
      scenarios.push_back(job(fmt::format(fmt::runtime(text), cluster, network)));
    }
  }
  const std::vector<Json> timelines = timelines_of_jobs(scenarios);
  const auto step = [&](std::size_t i) { return timelines[i]["step"].get<double>(); };
  CHECK(step(0) == doctest::Approx(step(1)).epsilon(1e-9));
  CHECK(step(2) > 1.05 * step(3));
}

}  // namespace test_offload
