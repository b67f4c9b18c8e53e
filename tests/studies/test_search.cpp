#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <set>

#include "sim/base/json_reader.hpp"
#include "sim/studies/search.hpp"

using namespace trainyard;

namespace test_search {

namespace {

OpenJob open_job(const std::string& text) {
  return {parse_json(text, "job.json"), "job.json"};
}

OpenJob small_job() {
  return open_job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8, "training": {"global_batch": 32}})");
}

// The candidates that are legal.
std::vector<Scenario> legal(const OpenJob& job) {
  std::vector<Scenario> out;
  for (const LayoutChoice& choice : candidate_layouts(job)) {
    try {
      out.push_back(job.scenario(choice));
    } catch (const UserError&) {
      continue;
    }
  }
  return out;
}

std::set<int> zero_stages_tried(const std::string& framework) {
  std::set<int> out;
  for (const Scenario& one :
       legal(open_job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 8, "framework": ")" + framework +
                      R"(", "training": {"global_batch": 32}})"))) {
    if (one.layout.dp > 1) {
      out.insert(one.training.zero_stage);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("networks of layers are tried data-parallel, with many samples at once and no selective recomputation") {
  const std::vector<Scenario> layouts = legal(
      open_job(R"({"model": "resnet-50", "cluster": "dgx-a100", "gpus": 8, "training": {"global_batch": 4096}})"));
  std::int64_t most = 0;
  for (const Scenario& one : layouts) {
    CHECK(one.layout.dp == 8);
    CHECK(one.training.recompute != Recompute::kSelective);
    most = std::max(most, one.training.micro_batch);
  }
  CHECK(most == 512);
}

TEST_CASE("every layout that is proposed uses all GPUs and splits the batch evenly") {
  const OpenJob job = small_job();
  const std::vector<Scenario> layouts = legal(job);
  CHECK(layouts.size() > 50);
  for (const Scenario& one : layouts) {
    CHECK(one.layout.tp * one.layout.pp * one.layout.dp == 8);
    CHECK(32 % (one.training.micro_batch * one.layout.dp) == 0);
    CHECK(one.model.heads % one.layout.tp == 0);
    CHECK(one.layout.pp * one.layout.vpp <= one.model.layers + 2);
  }
  std::vector<LayoutChoice> sorted = candidate_layouts(job);
  std::sort(sorted.begin(), sorted.end());
  CHECK(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
}

TEST_CASE("context parallelism that is stated takes its share of the GPUs") {
  for (const Scenario& one : legal(open_job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 16,
                                                "layout": {"cp": 2}, "training": {"global_batch": 32}})"))) {
    CHECK(one.layout.cp == 2);
    CHECK(one.layout.tp * one.layout.pp * 2 * one.layout.dp == 16);
  }
}

TEST_CASE("of models with experts several degrees of sharing them out are tried") {
  std::set<std::int64_t> sharing;
  std::set<std::int64_t> cutting;
  for (const Scenario& one : legal(open_job(R"({"model": "qwen1.5-moe-a2.7b", "cluster": "dgx-h100", "gpus": 8,
                                                "training": {"global_batch": 16}})"))) {
    sharing.insert(one.layout.ep);
    cutting.insert(one.layout.etp);
  }
  CHECK(sharing == std::set<std::int64_t>{1, 2, 4});  // of 60 experts on 8 ranks
  CHECK(cutting == std::set<std::int64_t>{1, 2, 4, 8});
}

TEST_CASE("a framework's strategy says which ZeRO stages are tried") {
  CHECK(zero_stages_tried("megatron-core") == std::set<int>{0, 1});
  CHECK(zero_stages_tried("deepspeed") == std::set<int>{0, 1, 2, 3});
  CHECK(zero_stages_tried("torchtitan") == std::set<int>{2, 3});
  CHECK(zero_stages_tried("jax") == std::set<int>{2, 3});
}

TEST_CASE("chunks are tried that are equal when embedding and loss count as layers") {
  // 94 layers: 96 with both ends, 3 chunks on each of 32 stages; 95 with the loss alone would be 5 x 19.
  bool found = false;
  for (const Scenario& one : legal(open_job(R"({"model": "qwen3-235b-a22b", "cluster": "dgx-h100", "gpus": 256,
      "layout": {"tp": 4, "pp": 32, "ep": 2, "etp": 1},
      "training": {"global_batch": 256, "micro_batch": 1, "recompute": "full", "zero_stage": 1}})"))) {
    found = found || (one.layout.vpp == 3 && one.layout.embedding == EndPlacement::kAsLayer &&
                      one.layout.loss == EndPlacement::kAsLayer);
  }
  CHECK(found);
}

TEST_CASE("a schedule table is searched with its own stages and micro-batches") {
  const std::string file = std::string(TRAINYARD_SOURCE_DIR) + "/tests/studies/two_stages.txt";
  const OpenJob job = open_job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 4,
                                   "training": {"global_batch": 8, "schedule": ")" +
                               file + R"("}})");
  const SearchResult result = search_layouts(job, 2);
  REQUIRE_FALSE(result.layouts.empty());
  CHECK(result.failed.empty());
  for (const SearchedLayout& one : result.layouts) {
    CHECK(one.choice.pp == 2);
    CHECK(one.choice.vpp == 1);
    CHECK(8 / (one.choice.micro_batch * one.choice.dp) == 4);
  }
  CHECK(result.layouts.front().simulated.has_value());
}

TEST_CASE("a layout that cannot be simulated is not ranked, and its reason is counted") {
  // Stage 1 wants the second micro-batch first, stage 0 sends it second and waits for the first one's gradient before.
  const std::string file = std::string(TRAINYARD_SOURCE_DIR) + "/tests/studies/deadlock.txt";
  const OpenJob job = open_job(R"({"model": "gpt2-medium", "cluster": "dgx-a100", "gpus": 2,
                                   "training": {"global_batch": 2, "schedule": ")" +
                               file + R"("}})");
  const SearchResult result = search_layouts(job, 2);
  CHECK(result.front.empty());
  REQUIRE(result.failed.size() == 1);
  CHECK(result.failed.front().layouts >= 2);
  CHECK(result.failed.front().reason.find("deadlock") != std::string::npos);
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
  CHECK(simulated >= 6);
  CHECK(simulated <= 6 + 2);  // of the front, a quarter as many and one for what rounding leaves
  REQUIRE_FALSE(result.front.empty());
  for (std::size_t i = 1; i < result.front.size(); ++i) {
    const SearchedLayout& faster = result.layouts[result.front[i - 1]];
    const SearchedLayout& smaller = result.layouts[result.front[i]];
    CHECK(faster.simulated.has_value());
    CHECK(smaller.simulated.has_value());
    CHECK(faster.best_known() <= smaller.best_known());
    CHECK(smaller.memory < faster.memory);
  }
}

}  // namespace test_search
