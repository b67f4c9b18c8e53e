#include <doctest/doctest.h>

#include <algorithm>

#include "sim/base/json_reader.hpp"
#include "sim/studies/search.hpp"

using namespace trainyard;

namespace {

Scenario small_job() {
  return read_scenario(parse_json(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8,
                                      "training": {"global_batch": 32}})",
                                  "job.json"),
                       "job.json");
}

}  // namespace

TEST_CASE("every layout that is proposed uses all GPUs and splits the batch evenly") {
  const Scenario job = small_job();
  const std::vector<LayoutChoice> layouts = legal_layouts(job);
  CHECK(layouts.size() > 50);
  for (const LayoutChoice& one : layouts) {
    CHECK(one.tp * one.pp * one.dp == 8);
    CHECK(32 % (one.micro_batch * one.dp) == 0);
    CHECK(job.model.heads % one.tp == 0);
    CHECK(one.pp * one.vpp <= job.model.layers);
  }
  std::vector<LayoutChoice> sorted = layouts;
  std::sort(sorted.begin(), sorted.end());
  CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
}

TEST_CASE("the search simulates the best that fit and its front has nothing dominated") {
  const SearchResult result = search_layouts(small_job(), 6);
  std::size_t simulated = 0;
  for (const SearchedLayout& one : result.layouts) {
    if (one.simulated) {
      ++simulated;
      CHECK(one.fits);
      CHECK(one.mfu > 0.0);
      // The formula leaves waiting and shared links out, so it is near the simulation but not the same.
      CHECK(one.step / *one.simulated > 0.6);
      CHECK(one.step / *one.simulated < 1.5);
    }
  }
  CHECK(simulated == 6);
  REQUIRE_FALSE(result.front.empty());
  for (std::size_t i = 1; i < result.front.size(); ++i) {
    const SearchedLayout& faster = result.layouts[result.front[i - 1]];
    const SearchedLayout& smaller = result.layouts[result.front[i]];
    CHECK(faster.best_known() <= smaller.best_known());
    CHECK(smaller.memory < faster.memory);
  }
}
