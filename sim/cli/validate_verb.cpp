#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "sim/base/files.hpp"
#include "sim/cli/verbs.hpp"
#include "validation/accuracy.hpp"
#include "validation/validate_collectives.hpp"
#include "validation/validate_kernels.hpp"
#include "validation/validate_runs.hpp"

namespace trainyard {
namespace {

struct ValidateOptions {
  std::vector<std::string> files;
  std::string network = "flow";
  std::string accuracy;  // where to write it
  JsonOutput json;

  std::vector<std::filesystem::path> paths() const { return {files.begin(), files.end()}; }
};

void publish(const JsonOutput& output, const std::string& text, const Json& json) {
  if (!output.to_stdout()) {
    fmt::print("{}", text);
  }
  output.write(json);
}

void score_runs(const ValidateOptions& options) {
  const Network network = named_choice("--network", options.network, kNetworkNames);
  if (!options.accuracy.empty()) {
    check_writable(options.accuracy);
  }
  const RunScores scores = validate_runs(options.paths(), network);
  if (!options.accuracy.empty()) {
    write_file(options.accuracy, accuracy_by_framework(scores.json, network).dump(2) + "\n");
  }
  publish(options.json, scores.text, scores.json);
}

void score_collectives(const ValidateOptions& options) {
  const CollectiveValidation scores = validate_collectives(options.paths());
  publish(options.json, scores.text, scores.json);
}

template <Json (*validate)(const std::vector<std::string>&)>
void score_kernels(const ValidateOptions& options) {
  const Json scores = validate(options.files);
  publish(options.json, kernel_validation_text(scores), scores);
}

using Score = void (*)(const ValidateOptions&);

std::pair<CLI::App*, std::shared_ptr<ValidateOptions>> add_kind(CLI::App& verb, const char* name, const char* help,
                                                                Score score) {
  auto options = std::make_shared<ValidateOptions>();
  CLI::App* kind = verb.add_subcommand(name, help);
  kind->add_option("files", options->files, "tables (CSV) of measurements")->required();
  options->json.add_to(*kind);
  kind->callback([options, score] {
    options->json.check();
    score(*options);
  });
  return {kind, options};
}

}  // namespace

void add_validate_verb(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("validate", "accuracy on measured data");
  verb->require_subcommand(1);
  const auto [runs, options] = add_kind(*verb, "runs", "training runs", score_runs);
  runs->add_option("--network", options->network, "flow or analytic");
  runs->add_option("--write-accuracy", options->accuracy,
                   "write the errors of each framework profile, as `run` reads them");
  add_kind(*verb, "collectives", "collective benchmarks", score_collectives);
  add_kind(*verb, "gemm", "matrix multiplication benchmarks", score_kernels<validate_gemm>);
  add_kind(*verb, "attention", "attention benchmarks", score_kernels<validate_attention>);
  add_kind(*verb, "membound", "benchmarks of kernels bound by memory", score_kernels<validate_memory_bound>);
}

}  // namespace trainyard
