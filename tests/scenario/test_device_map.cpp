// layout.device_map: layers of a module on several devices of one process.
#include <doctest/doctest.h>

#include <string>

#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_device_map {

namespace {

// GPT-2 (twelve layers) or ResNet-50 (18 units) on one node.
Json mapped(const std::string& map, std::initializer_list<std::string_view> changes = {},
            const std::string& model = "gpt2") {
  Json document = {{"model", model},
                   {"cluster", "dgx-a100"},
                   {"gpus", 2},
                   {"layout", {{"device_map", Json::parse(map)}}},
                   {"training", {{"global_batch", 4}}},
                   {"framework", "ddp"}};
  for (const std::string_view change : changes) {
    set_key(document, change);
  }
  return document;
}

Fault fault_of(const Json& document) {
  return refusal(document).value_or(Fault{});
}

}  // namespace

TEST_CASE("a list and an object say the same") {
  for (const char* map : {"[5, 7]", R"({"0-4": 0, "5-11": 1})", R"({"5-11": 1, "0": 0, "1-4": 0, "head": 1})"}) {
    CAPTURE(map);
    const Scenario scenario = read_scenario(mapped(map), "job.json");
    CHECK(scenario.layout.pp == 2);
    CHECK(scenario.layout.layers_per_stage == std::vector<std::int64_t>{5, 7});
    CHECK(scenario.training.schedule == ScheduleName::kLayerSplit);
    CHECK(scenario.resolved["layout"]["device_map"] == Json({5, 7}));
    CHECK(read_scenario(scenario.resolved, "job.json").resolved == scenario.resolved);
  }
  const Scenario alone = read_scenario(mapped(R"({"embedding": 0, "0-11": 1})"), "job.json");
  CHECK(alone.layout.layers_per_stage == std::vector<std::int64_t>{0, 12});
}

TEST_CASE("modules may be named as Hugging Face's models name them") {
  const std::string map = R"({"transformer.wte": 0, "transformer.wpe": 0, "transformer.h.0": 0, "transformer.h.1": 0,
                              "2-4": 0, "5-10": 1, "transformer.h.11": 1, "transformer.ln_f": 1, "lm_head": 1})";
  CHECK(read_scenario(mapped(map), "job.json").layout.layers_per_stage == std::vector<std::int64_t>{5, 7});
  CHECK(fault_of(mapped(R"({"wte": 0, "wpe": 1, "0-4": 0, "5-11": 1})")).pointer == "/layout/device_map/wpe");
  CHECK(fault_of(mapped(R"({"transformer.h.12": 0})")).pointer == "/layout/device_map/transformer.h.12");
}

TEST_CASE("units of networks go by their names") {
  const std::string map = R"({"stem": 0, "stage 1 first": 0, "stage 1": 0, "stage 2 first": 0, "stage 2": 0,
                              "8-16": 1, "classifier": 1})";
  const Scenario scenario = read_scenario(mapped(map, {}, "resnet-50"), "job.json");
  CHECK(scenario.layout.layers_per_stage == std::vector<std::int64_t>{8, 10});
}

TEST_CASE("a map that gives a layer no device or two is refused, with the layer") {
  const Fault skipped = fault_of(mapped(R"({"0-4": 0, "6-11": 1})"));
  CHECK(skipped.pointer == "/layout/device_map");
  CHECK(skipped.problem.find("layer 5 stands on no device") != std::string::npos);
  CHECK(fault_of(mapped("[5, 6]")).problem.find("layer 11 stands on no device") != std::string::npos);
  CHECK(fault_of(mapped("[5, 8]")).problem.find("no layer 12") != std::string::npos);
  const Fault twice = fault_of(mapped(R"({"0-6": 0, "6-11": 1})"));
  CHECK(twice.pointer == "/layout/device_map/6-11");
  CHECK(twice.problem.find("layer 6 stands on two devices") != std::string::npos);
  CHECK(fault_of(mapped(R"({"0-11": 0, "12": 1})")).pointer == "/layout/device_map/12");
  CHECK(fault_of(mapped(R"({"stem": 0})", {}, "resnet-50")).problem.find("(stage 1 first)") != std::string::npos);
}

TEST_CASE("a map is a list or an object, of layers that there are") {
  CHECK(fault_of(mapped("3")).pointer == "/layout/device_map");
  CHECK(fault_of(mapped(R"({"0-11": -1})")).pointer == "/layout/device_map/0-11");
  CHECK(fault_of(mapped(R"({"4-2": 0})")).pointer == "/layout/device_map/4-2");
  CHECK(fault_of(mapped(R"({"0-11": 0, "embedding": 0})", {}, "resnet-50")).pointer == "/layout/device_map/embedding");
}

TEST_CASE("devices have layers, in their order, and a GPU each") {
  CHECK(fault_of(mapped(R"({"0-4": 1, "5-11": 0})")).problem.find("devices follow the layers") != std::string::npos);
  CHECK(fault_of(mapped(R"({"0-4": 0, "5-11": 2})")).problem.find("device 1 has no layers") != std::string::npos);
  CHECK(fault_of(mapped("[5, 0, 7]")).pointer == "/layout/device_map/1");
  CHECK(fault_of(mapped("[0, 18]", {}, "resnet-50")).pointer == "/layout/device_map/0");
  CHECK(fault_of(mapped("[4, 4, 4]")).problem.find("3 devices and 2 GPUs") != std::string::npos);
  CHECK(fault_of(mapped(R"({"0-11": 0, "head": 1, "embedding": 1})")).pointer == "/layout/device_map/embedding");
  CHECK(fault_of(mapped(R"({"0-4": 0, "5-11": 1, "head": 0})")).pointer == "/layout/device_map/head");
}

TEST_CASE("what does not suit one process over several devices is refused") {
  CHECK(fault_of(mapped("[6, 6]", {"layout.pp=1"})).pointer == "/layout/pp");
  CHECK(fault_of(mapped("[6, 6]", {"layout.vpp=2"})).pointer == "/layout/vpp");
  CHECK(fault_of(mapped("[6, 6]", {"layout.layers_per_stage=[6,6]"})).pointer == "/layout/layers_per_stage");
  CHECK(fault_of(mapped("[6, 6]", {"layout.tp=2", "gpus=4"})).pointer == "/layout/tp");
  CHECK(fault_of(mapped("[6, 6]", {"training.schedule=1f1b"})).pointer == "/training/schedule");
  CHECK(fault_of(mapped("[6, 6]", {"training.p2p=overlapped"})).pointer == "/training/p2p");
  CHECK(fault_of(mapped("[6, 6]", {"gpus=4", "framework=megatron-core"})).pointer == "/training/data_parallel");
  CHECK(fault_of(mapped("[4, 4, 4]", {"gpus=12"})).pointer == "/layout/device_map");
  CHECK(fault_of(mapped("[6, 6]", {"gpus=16", "training.global_batch=8", "layout.order=tp-cp-ep-dp-pp"})).pointer ==
        "/layout/device_map");
  CHECK_FALSE(refusal(mapped("[6, 6]", {"gpus=16", "training.global_batch=8"})));
}

}  // namespace test_device_map
