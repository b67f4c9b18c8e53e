// Memory on the timeline of whole jobs, against the quick estimate that only replays the order of passes.
#include <fmt/format.h>

#include "sim/memory/memory_estimate.hpp"
#include "sim/report/memory_timeline.hpp"
#include "tests/theory/whole_jobs.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_memory_timeline {

namespace {

Report analytic_report(const Scenario& scenario) {
  return predict(scenario).report;
}

const std::vector<std::string>& recomputations() {
  static const std::vector<std::string> kChanges = {R"("recompute": "none")",
                                                    R"("recompute": "selective")",
                                                    R"("recompute": "selective", "recompute_modules": ["mlp", "norm"])",
                                                    R"("recompute": "full")",
                                                    R"("recompute": "full", "recompute_layers": 2)",
                                                    R"("recompute": "full", "recompute_method": "block")"};
  return kChanges;
}

}  // namespace

TEST_CASE("the timeline's fullest moments are those of the quick estimate, term by term") {
  for (const ScheduleName schedule : {ScheduleName::kGpipe, ScheduleName::kOneFOneB, ScheduleName::kInterleaved}) {
    for (const std::string& recompute : recomputations()) {
      const std::string text = fmt::format(
          R"({{"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 16, "layout": {{"tp": 2, "pp": 4, "vpp": {}}},
               "training": {{"global_batch": 16, "schedule": "{}", {}}}, "framework": "megatron-lm-2022",
               "network": "analytic"}})",
          schedule == ScheduleName::kInterleaved ? 2 : 1, kScheduleNames.name_of(schedule), recompute);
      CAPTURE(text);
      const Scenario scenario = job(text);
      const MemoryEstimate quick = estimate_memory(scenario, make_layout(scenario));
      const MemoryEstimate timeline = analytic_report(scenario).memory;
      REQUIRE(timeline.stages.size() == quick.stages.size());
      for (std::size_t stage = 0; stage < quick.stages.size(); ++stage) {
        CAPTURE(stage);
        CHECK(timeline.stages[stage].total.value == doctest::Approx(quick.stages[stage].total.value).epsilon(1e-12));
        for (const auto& [name, use] : kMemoryUseNames.rows) {
          CHECK(timeline.stages[stage].uses[use].value ==
                doctest::Approx(quick.stages[stage].uses[use].value).epsilon(1e-12));
        }
        REQUIRE(timeline.stages[stage].at.has_value());
        CHECK(timeline.stages[stage].at->value >= 0.0);
      }
    }
  }
}

TEST_CASE("a rank begins and ends the step with what is resident, and its samples follow time") {
  const Scenario scenario = job(
      R"({"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 8, "layout": {"pp": 4}, "network": "analytic",
          "training": {"global_batch": 16}, "framework": "megatron-lm-2022"})");
  const Prediction predicted = predict(scenario);
  const Report& report = predicted.report;
  const std::vector<RankMemory> ranks =
      memory_timelines(scenario, predicted.layout, predicted.program, predicted.timeline);
  REQUIRE_FALSE(ranks.empty());
  for (const RankMemory& rank : ranks) {
    const StageHoldings holdings = stage_holdings(scenario, make_layout(scenario), rank.stage);
    CHECK(rank.samples.front().uses.total() == holdings.resident.total());
    CHECK(rank.samples.back().uses.total().value == doctest::Approx(holdings.resident.total().value));
    CHECK(rank.samples.back().time <= report.step);
    Bytes fullest{};
    for (std::size_t i = 1; i < rank.samples.size(); ++i) {
      CHECK(rank.samples[i - 1].time <= rank.samples[i].time);
      fullest = max(fullest, rank.samples[i].uses.total());
    }
    CHECK(rank.peak.total == fullest);
  }
}

TEST_CASE("recomputing fewer layers costs less time and more memory") {
  struct Point {
    Seconds step;
    Bytes peak;
  };
  std::vector<Point> points;
  for (const char* how :
       {R"("recompute": "full")", R"("recompute": "full", "recompute_method": "block", "recompute_layers": 4)",
        R"("recompute": "full", "recompute_method": "block", "recompute_layers": 2)", R"("recompute": "none")"}) {
    const Scenario scenario = job(fmt::format(
        R"({{"model": "megatron-1.7b", "cluster": "dgx-a100", "gpus": 8, "layout": {{"pp": 4}}, "network": "analytic",
             "training": {{"global_batch": 16, {}}}, "framework": "megatron-lm-2022"}})",
        how));
    const Report report = analytic_report(scenario);
    points.push_back({report.step, report.memory.peak});
  }
  for (std::size_t i = 1; i < points.size(); ++i) {
    CHECK(points[i].step < points[i - 1].step);
    CHECK(points[i].peak > points[i - 1].peak);
  }
}

}  // namespace test_memory_timeline
