#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "sim/base/quantity_text.hpp"
#include "sim/cli/scenario_options.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/report/uncertainty.hpp"
#include "sim/scenario/mixed_gpus.hpp"
#include "sim/studies/search.hpp"

namespace trainyard {
namespace {

constexpr int kMostSimulated = 1000;
constexpr std::size_t kShown = 10;

struct SearchOptions {
  ScenarioOptions scenario;
  JsonOutput json;
  std::string simulated = "32";
};

std::string line_of(const SearchedLayout& one) {
  return fmt::format(
      "  {:>9} {:>9}  {:>6}  {:>10}  tp {:<2} pp {:<3} vpp {:<2} dp {:<5} micro-batch {}  {:<9}  ZeRO {}\n",
      one.simulated ? to_text(*one.simulated) : "", to_text(one.step),
      one.simulated ? fmt::format("{:.1f} %", 100.0 * one.mfu) : "", to_text(one.memory), one.choice.tp, one.choice.pp,
      one.choice.vpp, one.choice.dp, one.choice.micro_batch, kRecomputeNames.name_of(one.choice.recompute),
      one.choice.zero_stage);
}

std::string search_text(const Scenario& job, const SearchResult& result, const std::vector<ValidatedFamily>& accuracy) {
  std::size_t fitting = 0;
  std::size_t simulated = 0;
  for (const SearchedLayout& one : result.layouts) {
    fitting += one.fits ? 1 : 0;
    simulated += one.simulated ? 1 : 0;
  }
  std::string out = fmt::format("{} on {} ({}), global batch {}\n", job.model.name, gpus_text(job), job.cluster.name,
                                job.training.global_batch);
  out += fmt::format("{} layouts screened, {} fit in {}, {} simulated\n\nfastest that fit\n", result.layouts.size(),
                     fitting, to_text(result.capacity), simulated);
  const std::string head = "       step   formula     MFU      memory  layout\n";
  out += head;
  std::size_t shown = 0;
  for (const SearchedLayout& one : result.layouts) {
    if (one.fits && shown < kShown) {
      out += line_of(one);
      ++shown;
    }
  }
  out += "\nfaster or smaller than every other (Pareto front)\n" + head;
  for (const std::size_t i : result.front) {
    out += line_of(result.layouts[i]);
  }
  // The band is a share of the step, alike for every layout: that of the fastest says it for all.
  if (!result.layouts.empty()) {
    const Uncertainty band = uncertainty_of(result.layouts.front().best_known(), job.framework.name, accuracy);
    out += fmt::format("\nhow far steps may be off: {}\n", band.basis);
  }
  return out;
}

Json layout_json(const SearchedLayout& one, const std::string& framework,
                 const std::vector<ValidatedFamily>& accuracy) {
  return {{"tp", one.choice.tp},
          {"pp", one.choice.pp},
          {"vpp", one.choice.vpp},
          {"dp", one.choice.dp},
          {"micro_batch", one.choice.micro_batch},
          {"recompute", kRecomputeNames.name_of(one.choice.recompute)},
          {"zero_stage", one.choice.zero_stage},
          {"formula_s", one.step.value},
          {"step_time_s", one.simulated ? Json(one.simulated->value) : Json(nullptr)},
          {"uncertainty", one.simulated ? to_json(uncertainty_of(*one.simulated, framework, accuracy)) : Json(nullptr)},
          {"mfu", one.simulated ? Json(one.mfu) : Json(nullptr)},
          {"memory_bytes", one.memory.value},
          {"fits", one.fits}};
}

// Whatever layout the job states is only where the search begins; where none is stated and one replica a GPU does not
// suit the batch, the first that does.
Scenario read_job(const ScenarioOptions& options) {
  constexpr std::int64_t kMostDegree = 64;
  std::optional<UserError> fault;
  try {
    return options.read();
  } catch (const UserError& error) {
    if (error.fault().pointer != "/training/global_batch") {
      throw;
    }
    fault = error;
  }
  for (std::int64_t pp = 1; pp <= kMostDegree; ++pp) {
    for (std::int64_t tp = 1; tp <= kMostDegree; tp *= 2) {
      try {
        return options.read({fmt::format("layout.tp={}", tp), fmt::format("layout.pp={}", pp)});
      } catch (const UserError&) {
        continue;
      }
    }
  }
  throw UserError(*fault);
}

void search(const SearchOptions& options) {
  options.json.check();
  const int simulated = whole_number("--simulate", options.simulated, 0, kMostSimulated);
  const Scenario job = read_job(options.scenario);
  const SearchResult result = search_layouts(job, static_cast<std::size_t>(simulated));
  const bool any = std::any_of(result.layouts.begin(), result.layouts.end(), [](const auto& one) { return one.fits; });
  if (!any) {
    throw UserError({.file = "search",
                     .found = fmt::format("{} layouts", result.layouts.size()),
                     .allowed = fmt::format("a layout within {} per device", to_text(result.capacity)),
                     .problem = "no layout of this job fits in memory",
                     .remedy = "use more or larger GPUs, a smaller model or a shorter sequence"},
                    ExitCode::kInfeasible);
  }
  const std::vector<ValidatedFamily> accuracy = load_accuracy();
  if (!options.json.to_stdout()) {
    fmt::print("{}", search_text(job, result, accuracy));
  }
  Json document;
  document["layouts"] = Json::array();
  for (const SearchedLayout& one : result.layouts) {
    document["layouts"].push_back(layout_json(one, job.framework.name, accuracy));
  }
  document["pareto_front"] = result.front;
  document["capacity_bytes"] = result.capacity.value;
  document["screening_wall_s"] = result.screening.value;
  document["scenario"] = job.resolved;
  options.json.write(document);
}

}  // namespace

void add_search_verb(CLI::App& app) {
  auto options = std::make_shared<SearchOptions>();
  CLI::App* verb = app.add_subcommand("search", "the fastest layouts that fit in memory, and the Pareto front");
  options->scenario.add_to(*verb);
  options->json.add_to(*verb);
  verb->add_option("--simulate", options->simulated, "how many of the best by formula are simulated (default 32)");
  verb->callback([options] { search(*options); });
}

}  // namespace trainyard
