#include <doctest/doctest.h>

#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_variation {

namespace {

Json varied(const char* variation) {
  Json document = main_job();
  document["variation"] = parse_json(variation, "variation");
  return document;
}

std::vector<Straggler> stragglers(const char* list) {
  Json document = main_job();
  document["variation"]["stragglers"] = parse_json(list, "stragglers");
  return read_scenario(document, "job.json").variation.stragglers;
}

}  // namespace

TEST_CASE("nothing varies by default, and then nothing is echoed") {
  const Scenario scenario = read_scenario(main_job(), "job.json");
  CHECK_FALSE(scenario.variation.any());
  CHECK_FALSE(scenario.resolved.contains("variation"));
  const Scenario zero = read_scenario(varied(R"({"kernel_jitter": 0, "stragglers": []})"), "job.json");
  CHECK(zero.resolved == scenario.resolved);
}

TEST_CASE("variation is read, and what is echoed reads the same") {
  const Scenario scenario = read_scenario(varied(R"({"kernel_jitter": 0.015, "gpu_spread": 0.02, "network_jitter": 0.05,
                 "slow_nodes": {"probability": 0.005, "slowdown": [1.1, 1.2]},
                 "stragglers": [{"node": 3, "slowdown": 1.2}, {"ranks": "8-9,16", "slowdown": 1.5}]})"),
                                          "job.json");
  const VariationOptions& variation = scenario.variation;
  CHECK(variation.kernel_jitter == 0.015);
  CHECK(variation.gpu_spread == 0.02);
  CHECK(variation.network_jitter == 0.05);
  CHECK(variation.slow_node_probability == 0.005);
  CHECK(variation.slow_node_least == 1.1);
  CHECK(variation.slow_node_most == 1.2);
  REQUIRE(variation.stragglers.size() == 2);
  CHECK(variation.stragglers[0].ranks == std::vector<std::int64_t>{24, 25, 26, 27, 28, 29, 30, 31});
  CHECK(variation.stragglers[0].slowdown == 1.2);
  CHECK(variation.stragglers[1].ranks == std::vector<std::int64_t>{8, 9, 16});
  CHECK(read_scenario(scenario.resolved, "echo").resolved == scenario.resolved);
}

TEST_CASE("stragglers are a rank, a list, ranges or a node") {
  CHECK(stragglers(R"([{"ranks": 5, "slowdown": 2}])")[0].ranks == std::vector<std::int64_t>{5});
  CHECK(stragglers(R"([{"ranks": [9, 5, 9], "slowdown": 2}])")[0].ranks == std::vector<std::int64_t>{5, 9});
  CHECK(stragglers(R"([{"ranks": "1023,2-4", "slowdown": 2}])")[0].ranks == std::vector<std::int64_t>{2, 3, 4, 1023});
  // 1,024 GPUs on nodes of eight.
  CHECK(stragglers(R"([{"node": 127, "slowdown": 2}])")[0].ranks.back() == 1023);
}

TEST_CASE("variation that cannot be is refused where it stands, with what is allowed") {
  const auto refused = [](const char* variation, const char* pointer) {
    CAPTURE(variation);
    const auto fault = refusal(varied(variation));
    REQUIRE(fault.has_value());
    CHECK(fault->pointer == pointer);
    CHECK_FALSE(fault->allowed.empty());
  };
  refused(R"({"kernel_jiter": 0.1})", "/variation/kernel_jiter");
  refused(R"({"kernel_jitter": -0.1})", "/variation/kernel_jitter");
  refused(R"({"gpu_spread": 0.5})", "/variation/gpu_spread");
  refused(R"({"network_jitter": 2})", "/variation/network_jitter");
  refused(R"({"slow_nodes": {"probability": 1.5}})", "/variation/slow_nodes/probability");
  refused(R"({"slow_nodes": {"probability": 0.5, "slowdown": [1.3, 1.1]}})", "/variation/slow_nodes/slowdown/1");
  refused(R"({"slow_nodes": {"probability": 0.5, "slowdown": [1.3]}})", "/variation/slow_nodes/slowdown");
  refused(R"({"stragglers": [{"ranks": 0, "slowdown": 0.9}]})", "/variation/stragglers/0/slowdown");
  refused(R"({"stragglers": [{"ranks": 1024, "slowdown": 2}]})", "/variation/stragglers/0/ranks");
  refused(R"({"stragglers": [{"ranks": [0, 1024], "slowdown": 2}]})", "/variation/stragglers/0/ranks/1");
  refused(R"({"stragglers": [{"node": 128, "slowdown": 2}]})", "/variation/stragglers/0/node");
  for (const char* ranks : {"1024", "7-1024", "9-8", "a", "", "1-", "-1", "1,", "1-2-3", "99999999999999999999"}) {
    const auto fault = refusal(
        varied(Json{{"stragglers", {{{"ranks", ranks}, {"slowdown", 2}}}}, {"kernel_jitter", 0.0}}.dump().c_str()));
    CAPTURE(ranks);
    REQUIRE(fault.has_value());
    CHECK(fault->pointer == "/variation/stragglers/0/ranks");
    CHECK_FALSE(fault->remedy.empty());
  }
  for (const char* who : {R"({"slowdown": 2})", R"({"ranks": 1, "node": 0, "slowdown": 2})"}) {
    const auto fault = refusal(varied((std::string(R"({"stragglers": [)") + who + "]}").c_str()));
    CAPTURE(who);
    REQUIRE(fault.has_value());
    CHECK(fault->pointer == "/variation/stragglers/0");
    CHECK_FALSE(fault->remedy.empty());
  }
}

}  // namespace test_variation
