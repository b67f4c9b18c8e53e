#include <doctest/doctest.h>
#include <fmt/format.h>

#include "sim/program/optimizer_step.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_optimizer_step {

namespace {

// Of one parameter in fp32, which needs no copy.
double traffic(std::string_view optimizer, Fusion fused = Fusion::kOn) {
  Scenario scenario = read_scenario(parse_json(fmt::format(R"({{"model": "gpt2", "cluster": "dgx-a100", "gpus": 1,
                                 "training": {{"precision": "fp32", "optimizer": "{}"}}}})",
                                                           optimizer),
                                               "job.json"),
                                    "job.json");
  scenario.framework.optimizer = fused;
  return update_traffic(scenario, {.parameters = 1.0, .gradient = 4_B, .model_copy = 4_B}).value;
}

}  // namespace

TEST_CASE("an update moves what its optimizer reads and writes") {
  CHECK(traffic("plain-sgd") == 12.0);  // gradient read; parameter read and written
  CHECK(traffic("sgd") == 20.0);        // and the momentum
  CHECK(traffic("momentum") == traffic("sgd"));
  CHECK(traffic("nesterov") == traffic("sgd"));
  CHECK(traffic("lion") == traffic("sgd"));
  CHECK(traffic("adam") == 28.0);
  CHECK(traffic("adamw") == traffic("adam"));
  CHECK(traffic("lars") == 28.0);  // norms of parameter and gradient before
  // The update written to where the gradient was and read again with the parameter, once for norms, once to apply it.
  CHECK(traffic("lamb") == 4.0 * (2.0 + 1.0 + 4.0) + 4.0 * 2.0 + 4.0 * 3.0);
  CHECK(traffic("adam-8bit") == 12.0 + 2.0 * 2.03125);
}

TEST_CASE("Adam as statements moves 39 values of a parameter, where one kernel moves 7") {
  CHECK(traffic("adam", Fusion::kOn) == 7 * 4.0);
  CHECK(traffic("adam", Fusion::kOff) == doctest::Approx(39 * 4.0));
}

TEST_CASE("the more an optimizer keeps or looks at, the more it moves") {
  CHECK(traffic("plain-sgd") < traffic("adam-8bit"));
  CHECK(traffic("adam-8bit") < traffic("sgd"));
  CHECK(traffic("sgd") < traffic("adam"));
  CHECK(traffic("sgd") < traffic("lars"));
  CHECK(traffic("adam") < traffic("lamb"));
  CHECK(traffic("plain-sgd") < traffic("adafactor"));
}

}  // namespace test_optimizer_step
