// What search says of a layout is what run says of it: over random jobs, every row's scenario, read again from its
// JSON, is legal, takes the memory to the byte and, where it was simulated, the step time to the bit.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdlib>
#include <random>

#include "sim/base/fork_pool.hpp"
#include "sim/base/json_reader.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/predict/answer.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/studies/search.hpp"

using namespace trainyard;

namespace test_search_is_run {

namespace {

class RandomJobs {
 public:
  explicit RandomJobs(unsigned seed) : random_(seed) {}

  Json next() {
    const bool experts = chance(4);
    Json document = {
        {"model", experts ? one_of({"qwen1.5-moe-a2.7b", "deepseek-v2-lite"})
                          : one_of({"gpt2-medium", "megatron-1.7b", "llama-2-7b", "qwen2.5-3b", "gpt2-large"})},
        {"cluster", one_of({"dgx-a100", "dgx-h100", "a100-hdr-800g", "mixed-a100-h100"})},
        {"gpus", 8 * number(1, experts ? 2 : 4)},
        {"framework", framework_names()[number(0, framework_names().size() - 1)]},
        {"network", one_of({"flow", "analytic"})},
        {"layout", Json::object()},
        {"training", {{"global_batch", 48 * number(1, 2)}, {"seq_len", 1024}}}};
    state_some(document["layout"], document["training"], experts);
    return document;
  }

 private:
  // Fixes some of what a search would choose.
  void state_some(Json& layout, Json& training, bool experts) {
    for (const char* degree : {"tp", "pp"}) {
      if (chance(3)) {
        layout[degree] = 1 << number(0, 2);
      }
    }
    if (chance(6)) {
      layout["cp"] = 2;
    }
    if (chance(8)) {
      layout["vpp"] = number(1, 3);
    }
    if (experts && chance(2)) {
      layout[chance(2) ? "ep" : "etp"] = number(1, 2) * 2;
    }
    for (const char* end : {"embedding", "loss"}) {
      if (chance(8)) {
        layout[end] = one_of({"as-layer", "standalone", "with-layers"});
      }
    }
    if (chance(6)) {
      training["collective_algorithm"] = one_of({"ring", "tree", "hierarchical"});
    }
    if (chance(4)) {
      training["zero_stage"] = number(0, 3);
    } else if (chance(5)) {
      training["data_parallel"] = one_of(kDataParallelNames.names());
    }
    if (chance(4)) {
      training["micro_batch"] = number(1, 2);
    }
    if (chance(3)) {
      training["recompute"] = one_of({"none", "selective", "full"});
    }
    if (chance(5)) {
      training["schedule"] = one_of(kScheduleNames.names());
    }
    if (chance(10)) {
      training["offload"] = {{"optimizer", 0.5}};
    }
  }

  // Alike on every machine, which the standard library's distributions are not.
  std::size_t number(std::size_t least, std::size_t most) { return least + random_() % (most - least + 1); }
  bool chance(std::size_t one_in) { return number(1, one_in) == 1; }
  std::string one_of(const std::vector<std::string>& names) { return names[number(0, names.size() - 1)]; }

  std::mt19937 random_;
};

// What `run` answers, as a text that a child can hand over.
std::string answer_text(const Scenario& scenario) {
  const Report report = answer(scenario).report;
  return fmt::format("{:a} {:a}", report.step.value, report.memory.peak.value);
}

void check_rows(const OpenJob& job, const SearchResult& result) {
  std::vector<Scenario> simulated;
  std::vector<std::string> said;
  for (const SearchedLayout& row : result.layouts) {
    const Json resolved = job.scenario(row.choice).resolved;
    CAPTURE(resolved.dump());
    const Scenario scenario = read_scenario(resolved, "row");
    const MemoryEstimate memory = estimate_memory(scenario, make_layout(scenario));
    CHECK(row.fits == memory.fits());
    if (row.simulated) {
      simulated.push_back(scenario);
      said.push_back(fmt::format("{:a} {:a}", row.simulated->value, row.memory.value));
    } else {
      CHECK(row.memory.value == doctest::Approx(memory.peak.value).epsilon(1e-15));
    }
  }
  const auto answers = run_in_children(simulated.size(), available_processors(),
                                       [&](std::size_t task) { return answer_text(simulated[task]); });
  for (std::size_t i = 0; i < answers.size(); ++i) {
    CAPTURE(simulated[i].resolved.dump());
    CHECK(answers[i].value_or("failed") == said[i]);
  }
  // The smallest of the front, by formula: it runs all the same.
  if (!result.front.empty() && !result.layouts[result.front.back()].simulated) {
    const Scenario smallest = job.scenario(result.layouts[result.front.back()].choice);
    CAPTURE(smallest.resolved.dump());
    CHECK(run_in_children(1, 1, [&](std::size_t /*task*/) { return answer_text(smallest); }).front().has_value());
  }
}

// What the job states every row has. A row says more of it: a name becomes the "strategy" of an object.
void check_stated(const Json& stated, const Json& row) {
  for (const auto& [key, value] : stated.items()) {
    CAPTURE(key);
    const Json& held = row.at(key);
    if (value.is_object()) {
      check_stated(value, held);
    } else {
      CHECK((held.is_object() ? held.at("strategy") : held) == value);
    }
  }
}

}  // namespace

TEST_CASE("the rows of a search are what run answers for their scenarios") {
  // More in one's own hunt: TRAINYARD_SEARCH_JOBS=1000.
  const char* asked = std::getenv("TRAINYARD_SEARCH_JOBS");
  const int all = asked != nullptr ? std::atoi(asked) : 24;
  constexpr std::size_t kSimulated = 3;
  RandomJobs jobs(20261126);
  std::size_t rows = 0;
  std::size_t with_answers = 0;
  for (int i = 0; i < all; ++i) {
    const Json document = jobs.next();
    CAPTURE(document.dump());
    const OpenJob job(document, "random.json");
    const SearchResult result = search_layouts(job, kSimulated);
    for (const LeftOut& one : result.failed) {
      FAIL_CHECK(one.reason << ": " << one.example);
    }
    check_rows(job, result);
    for (const SearchedLayout& row : result.layouts) {
      check_stated(document, job.scenario(row.choice).resolved);
    }
    rows += result.layouts.size();
    with_answers += result.front.empty() ? 0 : 1;
  }
  CHECK(rows > 500);
  CHECK(with_answers >= static_cast<std::size_t>(all) / 3);
}

}  // namespace test_search_is_run
