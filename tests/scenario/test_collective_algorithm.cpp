#include <doctest/doctest.h>

#include "sim/scenario/read_scenario.hpp"
#include "tests/scenario/scenario_checks.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_collective_algorithm {

TEST_CASE("a forced collective algorithm reaches the scenario and its echo, by a name that there is") {
  const Scenario scenario = read_scenario(main_job_with({"training.collective_algorithm=nvls_tree"}), "job.json");
  CHECK(scenario.training.collective_algorithm == Algorithm::kNvlsTree);
  CHECK(scenario.resolved["training"]["collective_algorithm"] == "nvls_tree");
  const Scenario plain = read_scenario(main_job(), "job.json");
  CHECK_FALSE(plain.training.collective_algorithm.has_value());
  CHECK_FALSE(plain.resolved["training"].contains("collective_algorithm"));
  const auto fault = refusal(main_job_with({"training.collective_algorithm=NVLSTree"}));
  REQUIRE(fault.has_value());
  CHECK(fault->pointer == "/training/collective_algorithm");
  CHECK(fault->found.find("NVLSTree") != std::string::npos);
  CHECK(fault->allowed.starts_with("ring, tree, collnet_direct, "));
}

}  // namespace test_collective_algorithm
