// Laws that every answer obeys, over random legal jobs. TRAINYARD_LAWS="FIRST COUNT" tries other seeds: a job that
// breaks a law is printed with its seed.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "sim/base/error.hpp"
#include "sim/engine/column_times.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/predict/predict.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "tests/laws/random_job.hpp"
#include "tests/sanitized.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_laws {

namespace {

constexpr double kRounding = 1e-9;  // of the step

// The jobs that are tried.
struct Seeds {
  std::uint64_t first = 1;
  int legal = kSanitized ? 30 : 300;  // SimGrid's actors are threads there: most of the time goes into switching
};

Seeds seeds() {
  Seeds out;
  if (const char* asked = std::getenv("TRAINYARD_LAWS"); asked != nullptr) {
    std::istringstream(asked) >> out.first >> out.legal;
  }
  return out;
}

std::optional<Scenario> legal(Json job, const char* network, bool fold) {
  job["network"] = network;
  job["fold"] = fold;
  try {
    return read_scenario(job, "job.json");
  } catch (const UserError&) {
    return std::nullopt;
  }
}

bool are_close(Seconds a, Seconds b, Seconds step) {
  return std::abs(a.value - b.value) <= kRounding * step.value;
}

// What is wrong with a job; empty: nothing.
class Verdict {
 public:
  void expect(bool holds, const std::string& law) {
    if (!holds) {
      broken_ += (broken_.empty() ? "" : "; ") + law;
    }
  }
  const std::string& broken() const { return broken_; }

 private:
  std::string broken_;
};

bool slows_kernels(const Timeline& timeline) {
  return std::any_of(timeline.ranks.begin(), timeline.ranks.end(),
                     [](const RankTimeline& rank) { return !rank.slowed.empty(); });
}

void same_memory(Verdict& verdict, const MemoryEstimate& quick, const MemoryEstimate& run) {
  verdict.expect(quick.peak == run.peak && quick.host_peak == run.host_peak, "memory is run, at its peak");
  for (std::size_t stage = 0; stage < run.stages.size(); ++stage) {
    const StageMemory& one = quick.stages[stage];
    const StageMemory& other = run.stages[stage];
    verdict.expect(other.total == other.uses.total(), "memory terms sum to the total");
    for (const auto& [name, use] : kMemoryUseNames.rows) {
      verdict.expect(one.uses[use] == other.uses[use] && one.host[use] == other.host[use],
                     "memory is run: " + std::string(name) + " of stage " + std::to_string(stage));
    }
  }
}

void same_breakdown(Verdict& verdict, const Report& a, const Report& b) {
  const auto parts = a.breakdown.parts();
  const auto other = b.breakdown.parts();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    verdict.expect(are_close(parts[i].time, other[i].time, a.step),
                   "folding leaves the breakdown: " + std::string(parts[i].name));
  }
}

// SimGrid alone, with every flow on every link, says when each operation starts and ends.
void same_as_simgrid(Verdict& verdict, const Prediction& flow, const Prediction& simgrid) {
  const Seconds step = flow.report.step;
  verdict.expect(are_close(simgrid.report.step, step, step),
                 fmt::format("SimGrid's step: {} s of {} s", simgrid.report.step.value, step.value));
  double latest = 0.0;
  for (std::size_t r = 0; r < flow.timeline.ranks.size(); ++r) {
    RankTimeline one = flow.timeline.ranks[r];
    const RankTimeline& other = simgrid.timeline.ranks[r];
    one.start = start_times(flow.program.classes[one.program_class.index()], one);
    for (const auto column : {&RankTimeline::start, &RankTimeline::moving, &RankTimeline::end}) {
      for (std::size_t i = 0; i < (one.*column).size(); ++i) {
        latest = std::max(latest, std::abs((one.*column)[i] - (other.*column)[i]));
      }
    }
  }
  verdict.expect(latest <= kRounding * step.value,
                 fmt::format("SimGrid's operations: {} s apart in a step of {} s", latest, step.value));
  verdict.expect(simgrid.timeline.events == flow.timeline.events, "SimGrid's events");
}

std::string broken_laws(const Json& job, const Scenario& scenario) {
  Verdict verdict;
  const Prediction folded = predict(scenario);
  const Prediction again = predict(scenario);
  const Prediction whole = predict(*legal(job, "flow", false));
  same_as_simgrid(verdict, whole, predict(*legal(job, "simgrid", false)));
  const Prediction analytic = predict(*legal(job, "analytic", true));
  const Seconds step = folded.report.step;
  verdict.expect(step > Seconds{} && std::isfinite(step.value), "a step takes time");
  for (const Report* report : {&folded.report, &whole.report, &analytic.report}) {
    verdict.expect(are_close(report->breakdown.total(), report->step, report->step), "the breakdown sums to the step");
  }
  verdict.expect(again.report.step == step && again.timeline.events == folded.timeline.events, "the same bits twice");
  for (std::size_t i = 0; i < again.report.breakdown.parts().size(); ++i) {
    verdict.expect(again.report.breakdown.parts()[i].time == folded.report.breakdown.parts()[i].time,
                   "the same breakdown twice");
  }
  same_memory(verdict, estimate_memory(scenario, make_layout(scenario)), folded.report.memory);
  verdict.expect(are_close(whole.report.step, step, step), "folding leaves the step");
  same_breakdown(verdict, folded.report, whole.report);
  // Kernels are slower beside collectives: one that ends later may run beside fewer of them.
  const double anomaly = slows_kernels(analytic.timeline) ? 1e-2 : kRounding;
  verdict.expect(
      analytic.report.step <= step * (1.0 + anomaly),
      fmt::format("sharing links makes nothing faster: {} s, {} s alone", step.value, analytic.report.step.value));
  // Unfolded, where every flow counts for itself.
  if (whole.timeline.shares == 0) {
    verdict.expect(are_close(analytic.report.step, step, step), "the engines agree where nothing is shared");
  }
  return verdict.broken();
}

}  // namespace

TEST_CASE("random jobs obey the laws") {
  const Seeds asked = seeds();
  int legal_jobs = 0;
  for (std::uint64_t seed = asked.first; legal_jobs < asked.legal; ++seed) {
    const Json job = random_job(seed);
    const std::optional<Scenario> scenario = legal(job, "flow", true);
    if (!scenario) {
      continue;
    }
    std::string broken;
    try {
      broken = broken_laws(job, *scenario);
    } catch (const UserError& error) {
      if (error.code() == ExitCode::kBadInput) {
        continue;  // more GPUs than the cluster has
      }
      broken = error.what();
    } catch (const std::exception& error) {
      broken = error.what();
    }
    ++legal_jobs;
    CHECK_MESSAGE(broken.empty(), "seed " << seed << ": " << broken << "\n" << job.dump());
  }
}

TEST_CASE("jobs that once broke a law obey them all") {
  int cases = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(TRAINYARD_SOURCE_DIR) / "tests" / "laws" / "cases")) {
    CAPTURE(entry.path().string());
    const Json job = read_json_file(entry.path());
    const std::optional<Scenario> scenario = legal(job, "flow", true);
    REQUIRE(scenario.has_value());
    const std::string broken = broken_laws(job, *scenario);
    CHECK_MESSAGE(broken.empty(), broken);
    ++cases;
  }
  CHECK(cases >= 8);
}

TEST_CASE("DeepSpeed's ZeRO stage 3 takes whole passes in turns, else it is refused") {
  Json job = {{"model", "gpt2"},
              {"cluster", "dgx-a100"},
              {"gpus", 8},
              {"framework", "deepspeed"},
              {"training", {{"global_batch", 32}, {"zero_stage", 3}}}};
  for (const char* schedule : {"zb-h1", "zb-h2", "gpipe"}) {
    CAPTURE(schedule);
    job["training"]["schedule"] = schedule;
    CHECK(!legal(job, "flow", true));
  }
  job["training"]["schedule"] = "1f1b";
  CHECK(broken_laws(job, *legal(job, "flow", true)).empty());
}

}  // namespace test_laws
