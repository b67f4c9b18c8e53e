// Folding is exact: one member of every class does at every moment what it does when everybody is simulated.
#include <fmt/format.h>

#include <algorithm>

#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_folding {

namespace {

const Json& rank_of(const Json& timeline, const Json& rank) {
  const Json& ranks = timeline["ranks"];
  const auto found = std::find_if(ranks.begin(), ranks.end(), [&](const Json& one) { return one["rank"] == rank; });
  REQUIRE(found != ranks.end());
  return *found;
}

// The largest difference between the operations' times of the folded ranks and those of the same ranks unfolded.
double largest_difference(const Json& folded, const Json& unfolded) {
  double largest = 0.0;
  for (const Json& rank : folded["ranks"]) {
    const Json& same = rank_of(unfolded, rank["rank"]);
    for (const char* column : {"moving", "end"}) {
      REQUIRE(rank[column].size() == same[column].size());
      for (std::size_t i = 0; i < rank[column].size(); ++i) {
        largest = std::max(largest, std::abs(rank[column][i].get<double>() - same[column][i].get<double>()));
      }
    }
  }
  return largest;
}

void check_folds(const std::vector<std::string>& jobs) {
  std::vector<Scenario> scenarios;
  for (const std::string& text : jobs) {
    scenarios.push_back(job(text, {"network=flow", "fold=true"}));
    scenarios.push_back(job(text, {"network=flow", "fold=false"}));
  }
  const std::vector<Json> timelines = timelines_of_jobs(scenarios);
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    CAPTURE(jobs[i]);
    const Json& folded = timelines[2 * i];
    const Json& unfolded = timelines[2 * i + 1];
    const double step = unfolded["step"];
    CHECK(std::abs(folded["step"].get<double>() - step) <= 1e-9 * step);
    CHECK(largest_difference(folded, unfolded) <= 1e-9 * step);
    std::int64_t represented = 0;
    for (const Json& rank : folded["ranks"]) {
      represented += rank["multiplicity"].get<std::int64_t>();
    }
    CHECK(represented == scenarios[2 * i].gpus);
    CHECK(unfolded["ranks"].size() == static_cast<std::size_t>(scenarios[2 * i].gpus));
    CHECK(folded["ranks"].size() <= unfolded["ranks"].size());
    CHECK(folded["flows_real"] == unfolded["flows_real"]);
  }
}

}  // namespace

TEST_CASE("folded and unfolded simulations agree to 1e-9 at every operation") {
  check_folds(small_jobs());
}

TEST_CASE("folding is exact where the fabric is oversubscribed") {
  // Half of the leaves' links upwards: rings between units share what is left.
  Json cluster = load_cluster("dgx-a100").document;
  cluster["network"]["nodes_per_unit"] = 2;
  cluster["network"]["oversubscription"] = 2;
  std::vector<std::string> jobs;
  for (const auto& [tp, pp] : {std::pair{4, 2}, std::pair{8, 2}, std::pair{2, 4}}) {
    jobs.push_back(fmt::format(R"({{"model": "megatron-1.7b", "cluster": {}, "gpus": 64,
        "layout": {{"tp": {}, "pp": {}}}, "training": {{"global_batch": 64}}}})",
                               cluster.dump(), tp, pp));
  }
  check_folds(jobs);
}

TEST_CASE("a symmetric job needs one rank per stage") {
  const Json timeline =
      timelines_of_jobs({job(R"({"model": "gpt3-175b", "cluster": "dgx-a100", "gpus": 128, "layout": {"tp": 8, "pp": 8},
               "training": {"global_batch": 16}})")})[0];
  CHECK(timeline["ranks"].size() == 8);
}

}  // namespace test_folding
