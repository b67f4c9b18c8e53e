#include <doctest/doctest.h>

#include <algorithm>

#include "sim/layout/layout.hpp"
#include "sim/scenario/mixed_gpus.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_mixed_gpus {

namespace {

// Four nodes of eight A100, then H100.
Json on_mixed(int gpus) {
  Json document = parse_json(R"({"model": "llama-2-7b", "cluster": "mixed-a100-h100", "layout": {"tp": 8},
                                 "training": {"global_batch": 16}})",
                             "job.json");
  document["gpus"] = gpus;
  return document;
}

}  // namespace

TEST_CASE("every rank has the GPU of its node") {
  const Scenario scenario = read_scenario(on_mixed(64), "job.json");
  REQUIRE(scenario.gpu_kinds.size() == 2);
  CHECK(scenario.gpu.name == "a100-80");
  CHECK(scenario.gpu_kinds[0].name == "a100-80");
  CHECK(scenario.gpu_kinds[1].name == "h100-sxm");
  CHECK(scenario.gpu_kind(31) == 0);
  CHECK(scenario.gpu_kind(32) == 1);
  CHECK(scenario.different_gpus().size() == 2);
  CHECK(gpus_text(scenario) == "32 x a100-80 + 32 x h100-sxm");
  // What is echoed reads the same: naming one GPU would replace both.
  CHECK_FALSE(scenario.resolved.contains("gpu"));
  CHECK(read_scenario(scenario.resolved, "echo").gpu_kind_of == scenario.gpu_kind_of);
}

TEST_CASE("a job on the first kind alone, or with one GPU named, is not mixed") {
  const Scenario first = read_scenario(on_mixed(32), "job.json");
  CHECK(first.gpu_kinds.empty());
  CHECK(first.gpu_kind(31) == 0);
  CHECK(gpus_text(first) == "32 x a100-80");
  Json named = on_mixed(64);
  named["gpu"] = "h100-sxm";
  const Scenario replaced = read_scenario(named, "job.json");
  CHECK(replaced.gpu_kinds.empty());
  CHECK(replaced.gpu.name == "h100-sxm");
  CHECK(replaced.different_gpus().front().name == "h100-sxm");
}

TEST_CASE("a GPU between links that it does not have, or never measured, is said") {
  const auto noted = [](const char* cluster, const char* gpu, std::string_view words) {
    Json document = {{"model", "gpt2"}, {"cluster", cluster}, {"gpus", 8}, {"gpu", gpu}};
    const Scenario scenario = read_scenario(document, "job.json");
    return std::any_of(scenario.notes.begin(), scenario.notes.end(),
                       [&](const std::string& note) { return note.find(words) != std::string::npos; });
  };
  CHECK(noted("dgx-h100", "h800", "h800 has 200 GB/s"));
  CHECK_FALSE(noted("hgx-h800", "h800", "links are kept"));
  CHECK_FALSE(noted("dgx-h100", "h200", "links are kept"));
  CHECK(noted("dgx-h100", "tpu-v4", "no kernel of tpu-v4 was measured"));
}

TEST_CASE("what a mixed cluster cannot be is refused where it stands") {
  const auto refused = [](const char* key, const Json& value) {
    Json document = on_mixed(64);
    document["cluster"] = load_cluster("mixed-a100-h100").document;
    document["cluster"]["node_groups"][1][key] = value;
    const auto fault = refusal(document);
    REQUIRE(fault.has_value());
    return *fault;
  };
  const Fault unknown = refused("gpu", "h1000");
  CHECK(unknown.file == "job.json");
  CHECK(unknown.pointer == "/cluster/node_groups/1/gpu");
  CHECK_FALSE(unknown.nearest.empty());
  CHECK(refused("gpus", 8).pointer == "/cluster/node_groups/1/gpus");
  CHECK(refused("nodes", 0).pointer == "/cluster/node_groups/1/nodes");
  Json offloading = on_mixed(64);
  offloading["training"]["offload"]["activations"] = 0.5;
  const auto fault = refusal(offloading);
  REQUIRE(fault.has_value());
  CHECK(fault->pointer == "/training/offload");
  CHECK_FALSE(fault->remedy.empty());
}

}  // namespace test_mixed_gpus
