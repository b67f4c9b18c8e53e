#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>

#include "sim/base/files.hpp"
#include "sim/cli/scenario_options.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/memory/check_fits.hpp"
#include "sim/predict/answer.hpp"
#include "sim/predict/predict.hpp"
#include "sim/report/memory_timeline.hpp"
#include "sim/report/timeline_svg.hpp"
#include "sim/report/trace.hpp"

namespace trainyard {
namespace {

struct RunOptions {
  ScenarioOptions scenario;
  JsonOutput json;
  std::string trace;
  std::string trace_ranks = "stages";
  std::string timeline;
  bool allow_oom = false;
};

constexpr NameTable<TraceRanks, 2> kTraceRanksNames{{{{"stages", TraceRanks::kClasses}, {"all", TraceRanks::kAll}}}};

std::string title_of(const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  return fmt::format("{} on {} GPUs ({}), {}: tp {}, pp {}, vpp {}, dp {}", scenario.model.name, scenario.gpus,
                     scenario.cluster.name, scenario.framework.name, layout.tp, layout.pp, layout.vpp, layout.dp);
}

void run(const RunOptions& options) {
  const TraceRanks trace_ranks = named_choice("--trace-ranks", options.trace_ranks, kTraceRanksNames);
  const Scenario scenario = options.scenario.read();
  check_outputs({options.json.option(), {"--trace", options.trace}, {"--timeline", options.timeline}});
  if (!options.allow_oom) {
    const MemoryEstimate memory = estimate_memory(scenario, make_layout(scenario));
    if (!memory.fits()) {
      print_notes(scenario);  // no answer will say them
    }
    check_fits(memory, scenario);
  }
  const std::vector<ValidatedFamily> accuracy = load_accuracy();
  const auto begin = std::chrono::steady_clock::now();
  // A timeline that somebody looks at has every micro-batch.
  std::optional<Prediction> whole;
  std::optional<Answer> short_one;
  try {
    if (!options.trace.empty() || !options.timeline.empty()) {
      whole = predict(scenario);
    } else {
      short_one = answer(scenario);
    }
  } catch (const UserError& error) {
    throw options.scenario.named(error);
  }
  const Report& report = whole ? whole->report : short_one->report;
  const Layout& layout = whole ? whole->layout : short_one->layout;
  const Seconds wall{std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count()};
  const Uncertainty uncertainty = uncertainty_of(report.step, scenario.framework.name, accuracy);
  if (!options.trace.empty()) {
    write_trace(options.trace, whole->program, whole->timeline, trace_ranks,
                memory_timelines(scenario, layout, whole->program, whole->timeline));
  }
  if (!options.timeline.empty()) {
    write_file(options.timeline, timeline_svg(title_of(scenario), whole->program, whole->timeline));
  }
  if (!options.json.to_stdout()) {
    print_text("{}", result_text(scenario, layout, report, uncertainty, wall));
  }
  options.json.write(result_json(scenario, report, uncertainty, wall));
}

}  // namespace

void add_run_verb(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* verb = app.add_subcommand("run", "predict one training step");
  options->scenario.add_to(*verb);
  options->json.add_to(*verb);
  CLI::Option* const trace = verb->add_option("--trace", options->trace,
                                              "write the timeline for Perfetto; compressed when the name ends in .gz");
  verb->add_option("--trace-ranks", options->trace_ranks,
                   "stages (default): one rank of each; all: every simulated one")
      ->needs(trace);
  verb->add_option("--timeline", options->timeline, "draw the timeline (SVG)");
  verb->add_flag("--allow-oom", options->allow_oom, "predict the time of a layout that does not fit in memory");
  verb->callback([options] { run(*options); });
}

}  // namespace trainyard
