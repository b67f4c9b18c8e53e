// Which rows make the band of a framework profile.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "sim/report/uncertainty.hpp"
#include "validation/score/accuracy.hpp"

using namespace trainyard;

namespace test_accuracy {

namespace {

void add_rows(Json& scores, const std::string& framework, const std::string& status, int count, double predicted) {
  for (int i = 0; i < count; ++i) {
    scores["rows"].push_back({{"framework", framework},
                              {"status", status},
                              {"file", "runs_" + status + ".csv"},
                              {"measured", 1.0},
                              {"predicted", predicted},
                              {"error", predicted - 1.0},
                              {"measured_memory_gb", nullptr},
                              {"predicted_memory_gb", nullptr}});
  }
}

const ValidatedFamily& family(const std::vector<ValidatedFamily>& all, const std::string& framework) {
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const ValidatedFamily& one) { return one.framework == framework; });
  REQUIRE(found != all.end());
  return *found;
}

}  // namespace

TEST_CASE("rows that do not state everything make a band where there are too few others, and are told apart") {
  Json scores;
  add_rows(scores, "many", "simulated", 10, 1.1);
  add_rows(scores, "many", "assumed", 50, 1.9);
  add_rows(scores, "few", "simulated", 9, 1.1);
  add_rows(scores, "few", "assumed", 50, 1.2);
  add_rows(scores, "none", "skipped", 50, 1.2);
  const Json document = accuracy_by_framework(scores, Network::kFlow);
  const std::vector<ValidatedFamily> families = read_accuracy(JsonReader(document, "accuracy.json"));
  CHECK(families.size() == 2);
  CHECK(family(families, "many").step.rows == 10);
  CHECK(family(families, "many").step.assumed == 0);
  CHECK(family(families, "many").step.p90_abs_error == doctest::Approx(0.1));
  CHECK(family(families, "few").step.rows == 59);
  CHECK(family(families, "few").step.assumed == 50);
  CHECK(uncertainty_of(Seconds{1.0}, "few", families).basis.find("59 measured runs of few, 50 of which") !=
        std::string::npos);
}

}  // namespace test_accuracy
