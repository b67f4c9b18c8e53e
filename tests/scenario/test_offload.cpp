#include <doctest/doctest.h>

#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_offload {

namespace {

Json offloading(const char* cluster, const char* offload, const char* training = "{}") {
  Json document = parse_json(R"({"model": "llama-2-7b", "gpus": 8, "framework": "megatron-core",
                                 "training": {"global_batch": 8}})",
                             "job.json");
  document["cluster"] = cluster;
  document["training"].update(parse_json(training, "training"));
  document["training"]["offload"] = parse_json(offload, "offload");
  return document;
}

constexpr const char* kFsdp = R"({"data_parallel": "fsdp"})";

}  // namespace

TEST_CASE("offload is read, defaults filled in, and echoed") {
  const Scenario scenario = read_scenario(offloading("dgx-h100", R"({"weights": 0.5})", kFsdp), "job.json");
  CHECK(scenario.training.offload.weights == 0.5);
  CHECK(scenario.training.offload.optimizer == 0.5);
  CHECK(scenario.training.offload.activations == 0.0);
  CHECK(scenario.training.offload.prefetch == CopyAhead::kOn);
  const Json& echo = scenario.resolved["training"]["offload"];
  CHECK(echo == Json{{"optimizer", 0.5}, {"activations", 0.0}, {"weights", 0.5}, {"prefetch", true}});
  CHECK_FALSE(read_scenario(main_job(), "job.json").resolved["training"].contains("offload"));
}

TEST_CASE("offload that cluster or strategy cannot do is refused where it is asked for") {
  const auto pointer = [](const Json& document) {
    const auto fault = refusal(document);
    REQUIRE(fault.has_value());
    CHECK_FALSE(fault->remedy.empty());
    return fault->pointer;
  };
  CHECK(pointer(offloading("dgx-h100", R"({"weights": 1})")) == "/training/offload/weights");
  CHECK(pointer(offloading("dgx-h100", R"({"optimizer": 1})", R"({"data_parallel": "ddp"})")) ==
        "/training/offload/optimizer");
  CHECK(pointer(offloading("dgx-h100", R"({"optimizer": 1})", R"({"data_parallel": "deepspeed", "zero_stage": 0})")) ==
        "/training/offload/optimizer");
  CHECK(pointer(offloading("dgx-h100", R"({"optimizer": 1, "weights": 0.5})", kFsdp)) == "/training/offload/optimizer");
  // Who can do it is read off the strategies.
  const auto allowed = [](const char* offload, const char* training) {
    const auto fault = refusal(offloading("dgx-h100", offload, training));
    REQUIRE(fault.has_value());
    return fault->found + ": " + fault->allowed;
  };
  CHECK(allowed(R"({"weights": 1})", R"({"data_parallel": "deepspeed", "zero_stage": 2})") ==
        "deepspeed in ZeRO stage 2: deepspeed from stage 3, fsdp, hsdp");
  CHECK(allowed(R"({"optimizer": 1})", R"({"data_parallel": "ddp"})") ==
        "ddp in ZeRO stage 0: megatron, deepspeed from stage 1, fsdp, hsdp");
  // Copies have a way, but nobody says how fast the hosts of this cluster update.
  CHECK(pointer(offloading("aws-p4d", R"({"optimizer": 1})")) == "/training/offload/optimizer");
  CHECK_FALSE(refusal(offloading("aws-p4d", R"({"activations": 1})")).has_value());
  // A torus of devices has no hosts.
  CHECK(pointer(offloading("tpu-v5e-pod", R"({"activations": 1})")) == "/training/offload");
  const auto fault = refusal(offloading("dgx-h100", R"({"optimizer": 0.2, "weights": 0.5})", kFsdp));
  REQUIRE(fault.has_value());
  CHECK(fault->pointer == "/training/offload/optimizer");
}

}  // namespace test_offload
