// How the engine shares links out is how SimGrid does.
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_reference {

namespace {

Scenario with(const Scenario& scenario, Network network) {
  Scenario changed = scenario;
  changed.network = network;
  return changed;
}

// The largest difference between the ends of the same operation, as a share of the step.
double largest_difference(const Json& own, const Json& reference) {
  double largest = 0.0;
  for (std::size_t r = 0; r < own["ranks"].size(); ++r) {
    const Json& ends = own["ranks"][r]["end"];
    const Json& other = reference["ranks"][r]["end"];
    REQUIRE(ends.size() == other.size());
    for (std::size_t i = 0; i < ends.size(); ++i) {
      largest = std::max(largest, std::abs(ends[i].get<double>() - other[i].get<double>()));
    }
  }
  return largest / own["step"].get<double>();
}

void check_against_simgrid(const Scenario& scenario) {
  const std::vector<Json> timelines =
      timelines_of_jobs({with(scenario, Network::kFlow), with(scenario, Network::kSimgrid)});
  REQUIRE(!timelines[1].contains("error"));
  CHECK(largest_difference(timelines[0], timelines[1]) <= 1e-9);
}

}  // namespace

TEST_CASE("every operation ends when it does where SimGrid shares all links") {
  for (const std::string& text : small_jobs()) {
    CAPTURE(text);
    check_against_simgrid(job(text));
  }
}

TEST_CASE("the same on links that are asked for far more than they carry") {
  // Of the last only a few micro-batches: what flows share a link makes a moment's difference of their starts larger
  // every time, until rounding decides.
  check_against_simgrid(case_file("fold-breakdown-5475"));
  check_against_simgrid(case_file("seed2319"));
  check_against_simgrid(case_file("fold-step-5108", {"training.global_batch=32"}));
}

}  // namespace test_reference
