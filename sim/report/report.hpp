#pragma once
// What a timeline means: metrics, breakdown, memory, and where they came from.
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/engine/timeline.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/program/program.hpp"
#include "sim/report/breakdown.hpp"
#include "sim/report/critical_path.hpp"
#include "sim/report/input_use.hpp"
#include "sim/report/uncertainty.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Of a strategy of many updates, over all that were simulated.
struct UpdateSummary {
  std::int64_t workers = 0;
  Seconds iteration{};                    // of one worker alone, its own update and its wait for samples included
  double updates_per_second = 0.0;        // how often the parameters change
  double mean_staleness = 0.0;            // versions between what a gradient was computed at and what it was applied to
  std::vector<int> staleness;             // updates of each, from 0
  std::vector<double> mean_staleness_of;  // of every worker
  std::int64_t dropped = 0;               // what came too late or never
  double busiest_server = 0.0;            // the share of the time that its NIC moves all it can; 0 without servers
  Bytes sent{};                           // by the worker that sends most, for each of its iterations
};

struct Report {
  Seconds step{};  // with `updates`: for as many samples as a global batch has
  double tokens_per_second = 0.0;
  double samples_per_second = 0.0;
  FlopsPerSecond model_flops_per_gpu{};  // without recomputation
  double mfu = 0.0;                      // of the average GPU's dense peak for the training precision
  double hfu = 0.0;                      // recomputation counted
  Breakdown breakdown;
  std::optional<InputUse> input;
  MemoryEstimate memory;  // the fullest moments
  std::vector<CriticalPart> critical_path;
  std::vector<LinkUse> links;
  std::int64_t events = 0;
  std::int64_t ranks_simulated = 0;
  std::int64_t ranks = 0;
  std::int64_t flows_simulated = 0;
  std::int64_t flows = 0;
  std::int64_t links_simulated = 0;
  std::int64_t links_used = 0;
  std::int64_t micro_batches_simulated = 0;  // of one replica's step
  std::int64_t micro_batches = 0;
  std::vector<std::string> notes;  // what only the program tells, beside those of the scenario
  std::optional<UpdateSummary> updates;
};

// Everything per second, from the step that the report states.
void set_rates(Report& report, const Scenario& scenario, const Layout& layout);
Report make_report(const Scenario& scenario, const Layout& layout, const Program& program, const Timeline& timeline);

// The result contract (SI units, names carry the unit). `wall` is the time the simulation took.
Json result_json(const Scenario& scenario, const Report& report, const Uncertainty& uncertainty, Seconds wall);
// The same for people.
std::string result_text(const Scenario& scenario, const Layout& layout, const Report& report,
                        const Uncertainty& uncertainty, Seconds wall);
// What was left out or chosen for the user, a line each; nothing where there is nothing to say.
std::string notes_text(std::span<const std::string> notes);
// Memory of every stage: term by term, and one line each.
std::string memory_text(const Scenario& scenario, const Layout& layout, const MemoryEstimate& memory);
std::string memory_summary_text(const Scenario& scenario, const Layout& layout, const MemoryEstimate& memory);
Json memory_json(const MemoryEstimate& memory);

}  // namespace trainyard
