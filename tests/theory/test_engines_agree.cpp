// Where nothing is shared the fluid engine and the longest path say the same.
#include <fmt/format.h>

#include <cmath>

#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_engines_agree {

namespace {

double difference(const Json& flow, const Json& analytic) {
  return flow["step"].get<double>() / analytic["step"].get<double>() - 1.0;
}

}  // namespace

TEST_CASE("on one GPU and where only one communication runs at a time the engines agree to 1e-9") {
  const std::vector<std::string> jobs = {
      R"({"model": "gpt2", "cluster": "dgx-a100", "gpus": 1, "training": {"global_batch": 4}})",
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8, "layout": {"tp": 8}, "training": {"global_batch": 4},
          "framework": "megatron-lm-2022"})",
      R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8, "training": {"global_batch": 16},
          "framework": "megatron-lm-2022"})",
      R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 16, "layout": {"tp": 8}, "training": {"global_batch": 4},
          "framework": "megatron-lm-2022"})"};
  std::vector<Scenario> scenarios;
  for (const std::string& text : jobs) {
    scenarios.push_back(job(text, {"network=flow"}));
    scenarios.push_back(job(text, {"network=analytic"}));
  }
  const std::vector<Json> timelines = timelines_of_jobs(scenarios);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    CAPTURE(jobs[i]);
    CHECK(std::abs(difference(timelines[2 * i], timelines[2 * i + 1])) <= 1e-9);
  }
}

TEST_CASE("on clusters with a NIC for every GPU the engines agree within 2 %") {
  std::vector<Scenario> scenarios;
  std::vector<std::string> jobs;
  for (const std::string& text : small_jobs()) {
    if (text.find("a100-hdr-800g") == std::string::npos) {
      jobs.push_back(text);
      scenarios.push_back(job(text, {"network=flow"}));
      scenarios.push_back(job(text, {"network=analytic"}));
    }
  }
  const std::vector<Json> timelines = timelines_of_jobs(scenarios);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    CAPTURE(jobs[i]);
    // Communications that overlap share links, which takes time. (It can save some, too: a call that lasts longer may
    // push another one to where it slows fewer kernels down. None of these does.)
    CHECK(difference(timelines[2 * i], timelines[2 * i + 1]) >= -1e-9);
    CHECK(difference(timelines[2 * i], timelines[2 * i + 1]) <= 0.02);
  }
}

TEST_CASE("the same scenario gives the same bits twice, in both engines") {
  for (const char* network : {"network=flow", "network=analytic"}) {
    const Scenario scenario = job(small_jobs()[5], {network});
    const std::vector<Json> twice = timelines_of_jobs({scenario, scenario});
    CHECK(twice[0] == twice[1]);
  }
}

}  // namespace test_engines_agree
