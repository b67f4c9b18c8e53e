#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <memory>

#include "sim/base/quantity_text.hpp"
#include "sim/cli/scenario_options.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/predict/predict.hpp"
#include "sim/report/uncertainty.hpp"
#include "sim/scenario/mixed_gpus.hpp"
#include "sim/scenario/pipeline_keys.hpp"
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

// What distinguishes the layout, as the columns of a row.
std::string layout_text(const LayoutChoice& choice) {
  std::string out = fmt::format("tp {:<2} pp {:<3} vpp {:<2} dp {:<5} ", choice.tp, choice.pp, choice.vpp, choice.dp);
  for (const auto& [name, degree] :
       {std::pair("cp", choice.cp), std::pair("ep", choice.ep), std::pair("etp", choice.etp)}) {
    out += degree > 1 ? fmt::format("{} {:<2} ", name, degree) : "";
  }
  std::string recompute(kRecomputeNames.name_of(choice.recompute));
  for (const RecomputeModule module : choice.recompute_modules) {
    recompute += fmt::format("{}{}", recompute.find(' ') == std::string::npos ? " " : ",",
                             kRecomputeModuleNames.name_of(module));
  }
  out += fmt::format("micro-batch {}  ZeRO {}  {}", choice.micro_batch, choice.zero_stage, recompute);
  for (const auto& [name, end] : {std::pair("embedding", choice.embedding), std::pair("loss", choice.loss)}) {
    out += end != EndPlacement::kWithLayers ? fmt::format("  {} {}", name, kEndPlacementNames.name_of(end)) : "";
  }
  return out;
}

std::string line_of(const SearchedLayout& one, std::ptrdiff_t number) {
  return fmt::format("{:>5}  {:>9} {:>9}  {:>6}  {:>10}  {}\n", number, one.simulated ? to_text(*one.simulated) : "",
                     to_text(one.step), one.simulated ? fmt::format("{:.1f} %", 100.0 * one.mfu) : "",
                     to_text(one.memory), layout_text(one.choice));
}

// "12 x heads must be divisible by tp (3); 4 x ...", the most frequent first. What was found may be long: the front of
// it will do.
std::string reasons_text(std::vector<LeftOut> left_out) {
  constexpr std::size_t kMostShown = 100;
  std::stable_sort(left_out.begin(), left_out.end(),
                   [](const LeftOut& a, const LeftOut& b) { return a.layouts > b.layouts; });
  std::vector<std::string> parts;
  for (const LeftOut& one : left_out) {
    const bool is_long = one.example.size() > kMostShown;
    const std::string example = one.example.substr(0, kMostShown) + (is_long ? " ..." : "");
    parts.push_back(
        fmt::format("{} x {}{}", one.layouts, one.reason, example.empty() ? "" : fmt::format(" ({})", example)));
  }
  return fmt::format("{}", fmt::join(parts, "; "));
}

std::string command_of(const SearchOptions& options, const OpenJob& job, const SearchedLayout& one) {
  return "./trainyard run " + options.scenario.words(job.keys_of(one.choice));
}

struct Counts {
  std::size_t fitting = 0;
  std::size_t simulated = 0;
};

Counts counts_of(const SearchResult& result) {
  Counts counts;
  for (const SearchedLayout& one : result.layouts) {
    counts.fitting += one.fits ? 1 : 0;
    counts.simulated += one.simulated ? 1 : 0;
  }
  return counts;
}

// Places in the result of the rows that are shown as the fastest.
std::vector<std::size_t> fastest(const SearchResult& result, const Counts& counts) {
  std::vector<std::size_t> out;
  for (std::size_t i = 0; i < result.layouts.size() && out.size() < kShown; ++i) {
    if (result.layouts[i].fits && (counts.simulated == 0 || result.layouts[i].simulated)) {
      out.push_back(i);
    }
  }
  return out;
}

// What no layout of the search changes.
std::string held_text(const Scenario& job) {
  const auto on_off = [](bool on) { return on ? "on" : "off"; };
  return fmt::format(
      "held as stated or as defaults: cp {}, schedule {}, tp_overlap {}, ep_overlap {}, offload {}, {}{}\n",
      job.layout.cp, schedule_text(job.training), on_off(job.layout.tp_overlap == TensorOverlap::kOn),
      on_off(job.layout.ep_overlap == ExpertOverlap::kOn), on_off(job.training.offload.any()),
      kPrecisionNames.name_of(job.training.precision),
      job.training.collective_algorithm
          ? fmt::format(", collective_algorithm {}", name_of(job.training.collective_algorithm))
          : "");
}

// Above which predicted peak a measured one may not fit.
std::string memory_text(Bytes capacity, const std::string& framework, const std::vector<ValidatedFamily>& accuracy) {
  const MemoryUncertainty band = uncertainty_of(capacity, framework, accuracy);
  if (!band.high) {
    return fmt::format("how far peaks may be off: {}\n", band.basis);
  }
  return fmt::format("how far peaks may be off: {}: above {} a layout may not fit\n", band.basis,
                     to_text(capacity * (capacity / *band.high)));
}

std::string search_text(const SearchOptions& options, const OpenJob& open, const SearchResult& result,
                        const std::vector<ValidatedFamily>& accuracy) {
  const Scenario& job = open.stated();
  const Counts counts = counts_of(result);
  const std::vector<std::size_t> best = fastest(result, counts);
  std::string out = fmt::format("{} on {} ({}), global batch {}\n", job.model.name, gpus_text(job), job.cluster.name,
                                job.training.global_batch);
  out += fmt::format("{} layouts screened, {} fit in {}, {} simulated\n", result.layouts.size(), counts.fitting,
                     to_text(result.capacity), counts.simulated);
  out += held_text(job);
  if (!result.failed.empty()) {
    out += fmt::format("left out, not simulated: {}\n", reasons_text(result.failed));
  }
  const std::string head = "              step   formula     MFU      memory  layout\n";
  out += fmt::format("\nfastest that fit{}\n{}", counts.simulated == 0 ? ", by formula alone" : "", head);
  std::vector<std::size_t> shown = best;
  std::copy_if(result.front.begin(), result.front.end(), std::back_inserter(shown),
               [&best](std::size_t i) { return std::find(best.begin(), best.end(), i) == best.end(); });
  const auto number = [&shown](std::size_t i) { return std::find(shown.begin(), shown.end(), i) - shown.begin() + 1; };
  for (const std::size_t i : best) {
    out += line_of(result.layouts[i], number(i));
  }
  out += "\nfaster or smaller than every other (Pareto front)\n" + head;
  for (const std::size_t i : result.front) {
    out += line_of(result.layouts[i], number(i));
  }
  out += "\nto run them\n";
  for (const std::size_t i : shown) {
    out += fmt::format("{:>5}  {}\n", number(i), command_of(options, open, result.layouts[i]));
  }
  // The band is a share of the step, alike for every layout: that of the fastest says it for all.
  const Uncertainty band = uncertainty_of(result.layouts[best.front()].best_known(), job.framework.name, accuracy);
  return out + fmt::format("\nhow far steps may be off: {}\n", band.basis) +
         memory_text(result.capacity, job.framework.name, accuracy);
}

Json layout_json(const SearchOptions& options, const OpenJob& job, const SearchedLayout& one,
                 const std::vector<ValidatedFamily>& accuracy) {
  const std::string& framework = job.stated().framework.name;
  return {{"tp", one.choice.tp},
          {"pp", one.choice.pp},
          {"vpp", one.choice.vpp},
          {"cp", one.choice.cp},
          {"ep", one.choice.ep},
          {"etp", one.choice.etp},
          {"dp", one.choice.dp},
          {"micro_batch", one.choice.micro_batch},
          {"recompute", kRecomputeNames.name_of(one.choice.recompute)},
          {"zero_stage", one.choice.zero_stage},
          {"formula_s", one.step.value},
          {"step_time_s", one.simulated ? Json(one.simulated->value) : Json(nullptr)},
          {"uncertainty", one.simulated ? to_json(uncertainty_of(*one.simulated, framework, accuracy)) : Json(nullptr)},
          {"mfu", one.simulated ? Json(one.mfu) : Json(nullptr)},
          {"memory_bytes", one.memory.value},
          {"fits", one.fits},
          {"command", command_of(options, job, one)},
          {"scenario", job.scenario(one.choice).resolved}};
}

Json reasons_json(const std::vector<LeftOut>& left_out) {
  Json out = Json::array();
  for (const LeftOut& one : left_out) {
    out.push_back({{"reason", one.reason}, {"found", one.example}, {"layouts", one.layouts}});
  }
  return out;
}

// Throws UserError (exit code 3) where no layout is left to recommend.
void check_found(const SearchResult& result, int simulated) {
  const Counts counts = counts_of(result);
  Fault fault{.file = "search"};
  if (result.layouts.empty() && result.failed.empty()) {
    fault.problem = "no layout of this job is legal";
    fault.found = reasons_text(result.illegal);
    fault.remedy = "leave open what these reasons name";
  } else if (counts.fitting == 0 && result.failed.empty()) {
    fault.problem = "no layout of this job fits in memory";
    fault.found = fmt::format("{} layouts", result.layouts.size());
    fault.allowed = fmt::format("a layout within {} per device", to_text(result.capacity));
    fault.remedy = "use more or larger GPUs, a smaller model or a shorter sequence, or leave open what is fixed";
  } else if (counts.fitting == 0 || (simulated > 0 && counts.simulated == 0)) {
    fault.problem = "no layout of this job that fits could be simulated";
    fault.found = reasons_text(result.failed);
    fault.remedy = "change what these reasons name";
  } else {
    return;
  }
  throw UserError(fault, ExitCode::kInfeasible);
}

OpenJob open_job(const ScenarioOptions& options) {
  ScenarioOptions::Asked asked = options.asked();
  try {
    OpenJob job(std::move(asked.document), std::move(asked.file));
    refuse_updates(job.stated(), "search compares layouts by their step");
    print_notes(job.stated());
    return job;
  } catch (const UserError& error) {
    throw options.named(error);
  }
}

void search(const SearchOptions& options) {
  const int simulated = whole_number("--simulate", options.simulated, 0, kMostSimulated);
  const OpenJob job = open_job(options.scenario);
  options.json.check();
  const SearchResult result = search_layouts(job, static_cast<std::size_t>(simulated));
  check_found(result, simulated);
  const std::vector<ValidatedFamily> accuracy = load_accuracy();
  if (!options.json.to_stdout()) {
    print_text(search_text(options, job, result, accuracy));
  }
  if (options.json.target.empty()) {
    return;
  }
  Json document;
  document["layouts"] = Json::array();
  for (const SearchedLayout& one : result.layouts) {
    document["layouts"].push_back(layout_json(options, job, one, accuracy));
  }
  document["pareto_front"] = result.front;
  document["illegal"] = reasons_json(result.illegal);
  document["failed"] = reasons_json(result.failed);
  document["capacity_bytes"] = result.capacity.value;
  document["notes"] = job.stated().notes;
  document["screening_wall_s"] = result.screening.value;
  document["scenario"] = options.scenario.asked().document;  // what all layouts have in common
  options.json.write(document);
}

}  // namespace

void add_search_verb(CLI::App& app) {
  auto options = std::make_shared<SearchOptions>();
  CLI::App* verb = app.add_subcommand("search", "the fastest layouts that fit in memory, and the Pareto front");
  options->scenario.add_to(*verb);
  options->json.add_to(*verb);
  verb->add_option("--simulate", options->simulated,
                   "how many of the best that fit are simulated, beside a quarter as many of those that need less "
                   "memory (default 32)");
  verb->callback([options] { search(*options); });
}

}  // namespace trainyard
