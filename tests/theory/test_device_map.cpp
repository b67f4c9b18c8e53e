// A module over several devices, and networks of layers in stages: what they share with one device, and what they cost.
#include <doctest/doctest.h>

#include <cmath>
#include <numeric>

#include "sim/layout/layout.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_device_map {

namespace {

const char* const kTransformer = R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 1, "framework": "ddp",
                                     "training": {"global_batch": 4, "micro_batch": 2}})";
const char* const kNetwork = R"({"model": "resnet-50", "cluster": "dgx-a100", "gpus": 1, "framework": "ddp",
                                 "training": {"global_batch": 128, "micro_batch": 64}})";
// A sample at a time: kernels are shorter than their launches.
const char* const kHostBound = R"({"model": "resnet-50", "cluster": "dgx-a100", "gpus": 1, "framework": "ddp",
                                   "training": {"global_batch": 2, "micro_batch": 1}})";

}  // namespace

TEST_CASE("a map of one device changes nothing, to the bit") {
  const std::vector<Json> timelines =
      timelines_of_jobs({job(kTransformer), job(kTransformer, {"layout.device_map=[12]"}), job(kNetwork),
                         job(kNetwork, {"layout.device_map=[18]"})});
  CHECK(timelines[0] == timelines[1]);
  CHECK(timelines[2] == timelines[3]);
}

TEST_CASE(
    "over two devices one works at a time: the passes take no less than on one, whether GPU or host sets the pace") {
  // Plain SGD keeps the update short: it is the only part that both devices do at once.
  const std::string sgd = "training.optimizer=plain-sgd";
  for (const char* text : {kTransformer, kNetwork, kHostBound}) {
    CAPTURE(text);
    const std::string map = std::string(text) == kTransformer ? "layout.device_map=[6,6]" : "layout.device_map=[8,10]";
    const double one = predict_step(job(text, {sgd, "network=analytic"})).value;
    const double two = predict_step(job(text, {sgd, "network=analytic", "gpus=2", map})).value;
    CHECK(two >= one);
    CHECK(two <= 1.5 * one);
  }
}

TEST_CASE("engines agree on a device map and on stages of a network, and folding replicas is exact") {
  std::vector<Scenario> scenarios;
  for (const char* layout : {"layout.device_map=[8,10]", "layout.pp=2"}) {
    for (const char* way : {"network=flow", "network=analytic", "network=simgrid", "fold=false"}) {
      scenarios.push_back(job(kNetwork, {"gpus=4", "training.global_batch=256", layout, way}));
    }
  }
  const std::vector<Json> timelines = timelines_of_jobs(scenarios);
  for (std::size_t first = 0; first < timelines.size(); first += 4) {
    CAPTURE(first);
    const double flow = timelines[first]["step"].get<double>();
    CHECK(std::abs(timelines[first + 1]["step"].get<double>() / flow - 1.0) <= 0.02);
    CHECK(std::abs(timelines[first + 2]["step"].get<double>() / flow - 1.0) <= 1e-6);
    CHECK(std::abs(timelines[first + 3]["step"].get<double>() / flow - 1.0) <= 1e-9);
  }
}

TEST_CASE("stages of a network hold all of it, and send what the unit before them writes") {
  const Scenario scenario = job(kNetwork, {"gpus=2", "layout.device_map=[8,10]"});
  const Layout layout = make_layout(scenario);
  CHECK(std::accumulate(layout.stage_parameters.begin(), layout.stage_parameters.end(), std::int64_t{0}) ==
        parameters(scenario.model));
  // ResNet-50's second stage of blocks writes 512 channels of 28 x 28.
  CHECK(boundary_elements(scenario.model, layout.shard, layout.stages[1].chunks[0]) == 64 * 512 * 28 * 28);
  for (const char* schedule : {"gpipe", "1f1b", "zb-h1", "zb-v", "dualpipe-v", "interleaved"}) {
    CAPTURE(schedule);
    std::vector<std::string> changes = {"gpus=2", "layout.pp=2", "training.micro_batch=8", "network=analytic",
                                        std::string("training.schedule=") + schedule};
    if (std::string(schedule) == "interleaved") {
      changes.emplace_back("layout.vpp=2");
    }
    const Scenario piped = job(kNetwork, changes);
    std::int64_t sum = 0;
    for (const std::int64_t held : make_layout(piped).stage_parameters) {
      sum += held;
    }
    CHECK(sum == parameters(piped.model));
    CHECK(predict_step(piped).value > 0.0);
  }
}

TEST_CASE("devices of a map hold together what one device holds") {
  for (const char* text : {kTransformer, kNetwork}) {
    CAPTURE(text);
    // GPT-2's output matrix is the embedding's, and both ends hold it where they lie on two devices.
    const bool is_tied = std::string(text) == kTransformer;
    const std::string map = is_tied ? "layout.device_map=[6,6]" : "layout.device_map=[8,10]";
    const Scenario one = job(text);
    const Scenario two = job(text, {"gpus=2", map});
    const MemoryEstimate whole = estimate_memory(one, make_layout(one));
    const MemoryEstimate parts = estimate_memory(two, make_layout(two));
    REQUIRE(parts.stages.size() == 2);
    const auto sum = [&](MemoryUse use) { return (parts.stages[0].uses[use] + parts.stages[1].uses[use]).value; };
    const auto held = [&](MemoryUse use) { return whole.stages[0].uses[use].value; };
    CHECK(std::abs(sum(MemoryUse::kActivations) / held(MemoryUse::kActivations) - 1.0) <= 1e-9);
    for (const MemoryUse use : {MemoryUse::kParameters, MemoryUse::kGradients, MemoryUse::kOptimizer}) {
      const double ratio = sum(use) / held(use);
      const double twice = is_tied ? static_cast<double>(tied_embedding_parameters(two)) /
                                         static_cast<double>(make_layout(one).stage_parameters[0])
                                   : 0.0;
      CHECK(std::abs(ratio - 1.0 - twice) <= 1e-9);
    }
  }
}

}  // namespace test_device_map
