#include <fmt/format.h>

#include <memory>

#include "sim/base/quantity_text.hpp"
#include "sim/cli/scenario_options.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/memory/memory_estimate.hpp"
#include "sim/predict/predict.hpp"
#include "sim/report/report.hpp"

namespace trainyard {
namespace {

struct MemoryOptions {
  ScenarioOptions scenario;
  JsonOutput json;
  bool timeline = false;
};

// A layout that does not fit is an answer here, not an error.
void show_memory(const MemoryOptions& options) {
  if (!options.timeline) {
    options.scenario.note_unused({"--network", "--fold", "--collective-algorithm"},
                                 "without --timeline nothing is simulated");
  }
  const Scenario scenario = options.scenario.read();
  options.json.check();
  const Layout layout = make_layout(scenario);
  check_schedule_table(scenario);
  const MemoryEstimate memory = options.timeline ? predict(scenario).report.memory : estimate_memory(scenario, layout);
  const MemoryUncertainty uncertainty = uncertainty_of(memory.peak, scenario.framework.name, load_accuracy());
  if (!options.json.to_stdout()) {
    print_text("{}", memory_text(scenario, layout, memory));
    if (uncertainty.high) {
      print_text("  measured, the fullest stage would have {} to {}:\n", to_text(uncertainty.low),
                 to_text(*uncertainty.high));
    }
    print_text("  {}\n", uncertainty.basis);
  }
  Json document = memory_json(memory);
  document["uncertainty"] = to_json(uncertainty);
  document["notes"] = scenario.notes;
  document["scenario"] = scenario.resolved;
  options.json.write(document);
}

}  // namespace

void add_memory_verb(CLI::App& app) {
  auto options = std::make_shared<MemoryOptions>();
  CLI::App* verb = app.add_subcommand("memory", "memory of every pipeline stage, term by term");
  options->scenario.add_to(*verb);
  options->json.add_to(*verb);
  verb->add_flag("--timeline", options->timeline, "simulate the step and say when each stage is fullest");
  verb->callback([options] { show_memory(*options); });
}

}  // namespace trainyard
