#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>

#include "sim/base/files.hpp"
#include "sim/base/fork_pool.hpp"
#include "sim/base/json_text.hpp"
#include "sim/cli/scenario_options.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/predict/answer.hpp"
#include "sim/report/comparison.hpp"
#include "sim/scenario/read_scenario.hpp"

namespace trainyard {
namespace {

struct CompareOptions {
  JsonOutput json;
  std::vector<std::string> files;
  std::vector<std::string> assignments;
};

std::string stem_of(const std::string& file) {
  return std::filesystem::path(file).stem().string();
}

// The file's name without its folder and ".json"; the whole path where two files would be called the same, and a number
// where one file is named again. No two are alike.
std::vector<std::string> names_of(const std::vector<std::string>& files) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const bool shares_stem = std::any_of(files.begin(), files.end(), [&](const std::string& other) {
      return other != files[i] && stem_of(other) == stem_of(files[i]);
    });
    const auto here = files.begin() + static_cast<std::ptrdiff_t>(i);
    const auto before = std::count(files.begin(), here, files[i]);
    names.push_back(shares_stem ? files[i] : stem_of(files[i]));
    if (before > 0) {
      names.back() += fmt::format(" ({})", before + 1);
    }
  }
  return names;
}

Scenario read(const std::string& file, const std::vector<std::string>& sets) {
  Json document = read_json_file(file);
  std::vector<Assignment> assignments;
  for (const std::string& text : sets) {
    assignments.push_back(assignment_of(text));
  }
  assign(document, assignments);
  try {
    return read_scenario(document, file);
  } catch (const UserError& error) {
    throw UserError(name_flag(error.fault(), assignments), error.code());
  }
}

// The result as text, or why there is none (a deadlock of the simulated program, for one).
std::string finished_or_fault(const Scenario& scenario, const std::vector<ValidatedFamily>& accuracy) {
  try {
    const Report report = answer(scenario).report;
    const Uncertainty uncertainty = uncertainty_of(report.step, scenario.framework.name, accuracy);
    return json_text(result_json(scenario, report, uncertainty, {}));
  } catch (const UserError& error) {
    return json_text(Json{{"fault", error.what()}, {"code", static_cast<int>(error.code())}});
  }
}

// What does not fit is compared all the same; the table says so.
void compare(const CompareOptions& options) {
  if (options.files.size() < 2) {
    throw UserError({.file = "compare",
                     .found = fmt::format("{} scenario", options.files.size()),
                     .allowed = "two scenario files or more",
                     .problem = "there is nothing to compare with"});
  }
  std::vector<Scenario> scenarios;
  for (const std::string& file : options.files) {
    scenarios.push_back(read(file, options.assignments));
    print_notes(scenarios.back());
  }
  options.json.check();
  const std::vector<ValidatedFamily> accuracy = load_accuracy();
  const auto results = run_in_children(scenarios.size(), available_processors(),
                                       [&](std::size_t i) { return finished_or_fault(scenarios[i], accuracy); });
  std::vector<ComparedRun> runs;
  const std::vector<std::string> names = names_of(options.files);
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!results[i]) {
      throw UserError({.file = options.files[i], .problem = "the simulation of this scenario failed"},
                      ExitCode::kInternal);
    }
    Json result = Json::parse(*results[i]);
    if (result.contains("fault")) {
      throw UserError({.file = options.files[i], .problem = result.at("fault").get<std::string>()},
                      static_cast<ExitCode>(result.at("code").get<int>()));
    }
    runs.push_back({.name = names[i], .result = std::move(result)});
  }
  const Comparison comparison = compare_runs(std::move(runs));
  if (!options.json.to_stdout()) {
    print_text(comparison_text(comparison));
  }
  options.json.write(comparison_json(comparison));
}

}  // namespace

void add_compare_verb(CLI::App& app) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* verb = app.add_subcommand("compare", "layouts side by side, and why one is faster");
  options->json.add_to(*verb);
  add_effort_option(*verb);
  verb->add_option("scenarios", options->files, "scenario files, two or more")->required();
  verb->add_option("--set", options->assignments, "key.path=value in every scenario");
  verb->callback([options] { compare(*options); });
}

}  // namespace trainyard
