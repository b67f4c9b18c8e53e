#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "sim/base/files.hpp"
#include "sim/base/json_text.hpp"
#include "sim/cli/verbs.hpp"
#include "validation/cli/measured_collectives.hpp"
#include "validation/cli/validation_verbs.hpp"
#include "validation/score/accuracy.hpp"
#include "validation/score/score_guard.hpp"
#include "validation/score/scoreboard.hpp"
#include "validation/score/scoreboard_page.hpp"
#include "validation/score/validate_collectives.hpp"
#include "validation/score/validate_kernels.hpp"
#include "validation/score/validate_memory.hpp"
#include "validation/score/validate_runs.hpp"

namespace trainyard {
namespace {

struct ValidateOptions {
  std::vector<std::string> files;
  std::string network = "flow";
  std::string accuracy;  // where to write it
  std::string write;     // the scoreboard's page
  std::string check;     // committed scores
  std::string gpu;       // that files which do not name one were measured on
  MeasuredCollectivesOptions collectives;
  JsonOutput json;

  std::vector<std::filesystem::path> paths() const { return {files.begin(), files.end()}; }
};

void publish(const JsonOutput& output, const std::string& text, const Json& json) {
  if (!output.to_stdout()) {
    print_text(text);
  }
  output.write(json);
}

// Tables of which nothing can be predicted have not been validated. `allowed` and `remedy` as Fault has them.
void refuse_nothing_predicted(const Json& scores, const char* allowed, const char* remedy) {
  const Json& files = scores.at("files");
  if (!std::all_of(files.begin(), files.end(),
                   [](const Json& file) { return file.at("rows") == file.at("skipped"); })) {
    return;
  }
  std::string reasons;
  for (const Json& skipped : scores.at("skipped")) {
    reasons += fmt::format("{}{} rows: {}", reasons.empty() ? "" : "; ", skipped.at("n").get<std::size_t>(),
                           skipped.at("reason").get<std::string>());
  }
  throw UserError({.file = files.at(0).at("file").get<std::string>(),
                   .found = reasons.empty() ? "no rows" : reasons,
                   .allowed = allowed,
                   .problem = "none of these measurements can be predicted",
                   .remedy = remedy});
}

void score_runs(const ValidateOptions& options) {
  const Network network = named_choice("--network", options.network, kNetworkNames);
  check_outputs({options.json.option(), {"--write-accuracy", options.accuracy}}, options.files);
  const RunScores scores = validate_runs(options.paths(), network);
  refuse_nothing_predicted(scores.json,
                           "rows with a model, a cluster or a GPU of the catalogue, a layout, batches and a time",
                           "see validation/published/runs/README.md for what a row states");
  if (!options.accuracy.empty()) {
    write_file(options.accuracy, json_text(accuracy_by_framework(scores.json, network), 2) + "\n");
  }
  publish(options.json, scores.text, scores.json);
}

void score_collectives(const ValidateOptions& options) {
  const CollectiveValidation scores = validate_collectives(options.collectives.sources(options.paths()));
  refuse_nothing_predicted(scores.json,
                           "rows with a cluster or a GPU of the catalogue, an operation, ranks, nodes, size and time",
                           "name the cluster that was measured with --cluster");
  publish(options.json, scores.text, scores.json);
}

void score_memory(const ValidateOptions& options) {
  const MemoryValidation scores = validate_memory(options.paths());
  publish(options.json, scores.text, scores.json);
}

void check_network(Network network, const Json& committed, const std::string& file) {
  const std::string name(kNetworkNames.name_of(network));
  if (committed.at("network") != name) {
    throw UserError({.file = file,
                     .found = "scores of network " + committed.at("network").get<std::string>(),
                     .allowed = "scores of network " + name,
                     .problem = "these scores cannot be compared",
                     .remedy = "choose the same with --network"});
  }
}

// Says what got worse; a scoreboard that lost accuracy is no success.
void guard(const Scoreboard& board, const std::string& file, const Json& committed, bool partial) {
  const std::vector<std::string> missing = scores_without_match(committed, board.scores, partial);
  const bool compares = std::any_of(board.scores.at("sections").begin(), board.scores.at("sections").end(),
                                    [](const Json& section) { return !section.empty(); });
  if (!compares || (!partial && !missing.empty())) {
    throw UserError({.file = file,
                     .found = missing.empty() ? "no score of these tables"
                                              : fmt::format("{} figures fewer, as {}", missing.size(), missing.front()),
                     .allowed = "every figure that is scored now",
                     .problem = "these scores do not say whether accuracy was kept",
                     .remedy = "commit new scores: trainyard validate all --write validation/SCOREBOARD.md"});
  }
  const std::vector<std::string> worse = worse_scores(committed, board.scores, partial);
  for (const std::string& line : worse) {
    print_note(fmt::format("worse  {}\n", line));
  }
  if (!worse.empty()) {
    throw UserError({.file = file,
                     .found = fmt::format("{} figures that got worse", worse.size()),
                     .allowed = "half a percentage point",
                     .problem = "accuracy was lost",
                     .remedy = "mend the model; where the loss is meant, commit new scores: trainyard validate all "
                               "--write validation/SCOREBOARD.md"},
                    ExitCode::kInternal);
  }
}

void score_all(const ValidateOptions& options) {
  const Network network = named_choice("--network", options.network, kNetworkNames);
  const Json committed = options.check.empty() ? Json() : read_json_file(options.check);
  if (!options.check.empty()) {
    check_scores(committed, options.check);
    check_network(network, committed, options.check);
  }
  // The page has company in its folder.
  const std::filesystem::path folder = std::filesystem::path(options.write).parent_path();
  const std::string scores = options.write.empty() ? "" : folder / "scores.json";
  const std::string accuracy = options.write.empty() ? "" : folder / "accuracy.json";
  check_outputs({options.json.option(), {"--write", options.write}, {"--write", scores}, {"--write", accuracy}},
                options.files);
  const bool partial = !options.files.empty();
  const std::vector<std::filesystem::path> tables = partial ? options.paths() : published_tables();
  const Scoreboard board = make_scoreboard(tables, network);
  if (!options.write.empty()) {
    write_scoreboard(board, options.write);
  }
  publish(options.json, options.write.empty() ? scoreboard_page(board) : fmt::format("{} written\n", options.write),
          board.scores);
  if (!options.check.empty()) {
    guard(board, options.check, committed, partial);
  }
}

template <Json (*validate)(const std::vector<std::string>&, const GpuSpec*)>
void score_kernels(const ValidateOptions& options) {
  const std::optional<GpuSpec> gpu = options.gpu.empty() ? std::nullopt : std::optional(load_gpu(options.gpu));
  const Json scores = validate(options.files, gpu ? &*gpu : nullptr);
  refuse_nothing_predicted(scores,
                           "rows of a GPU of the catalogue, with shape and time, that the kernels' models price",
                           "see validation/README.md for the rows of tables and the records of the suite");
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
    options->json.check(options->files);
    score(*options);
  });
  return {kind, options};
}

void add_kernels(CLI::App& verb, const char* name, const char* help, Score score) {
  const auto [kind, options] = add_kind(verb, name, help, score);
  kind->get_option("files")->description("tables (CSV), output of the microbenchmark suite (.jsonl)");
  kind->add_option("--gpu", options->gpu, "GPU of the catalogue that files without a column gpu were measured on");
}

}  // namespace

void add_validate_verb(CLI::App& app) {
  CLI::App* verb = app.add_subcommand("validate", "accuracy on measured data");
  verb->require_subcommand(1);
  const auto [runs, options] = add_kind(*verb, "runs", "training runs", score_runs);
  runs->add_option("--network", options->network, "flow, simgrid or analytic");
  runs->add_option("--write-accuracy", options->accuracy,
                   "write the errors of each framework profile, as `run` reads them");
  const auto [collectives, measured] = add_kind(
      *verb, "collectives", "collective benchmarks: tables, nccl-tests logs, output of the suite", score_collectives);
  measured->collectives.add_to(*collectives, "cluster that was measured, whatever tables say");
  add_kernels(*verb, "gemm", "matrix multiplication benchmarks", score_kernels<validate_gemm>);
  add_kernels(*verb, "attention", "attention benchmarks", score_kernels<validate_attention>);
  add_kernels(*verb, "convolutions", "convolution benchmarks", score_kernels<validate_convolutions>);
  add_kind(*verb, "memory", "published figures of activations and model states", score_memory);
  add_kernels(*verb, "membound", "benchmarks of kernels bound by memory", score_kernels<validate_memory_bound>);
  const auto [all, everything] =
      add_kind(*verb, "all", "every table of validation/published, as a scoreboard (minutes)", score_all);
  all->get_option("files")->required(false);
  all->add_option("--network", everything->network, "flow, simgrid or analytic");
  all->add_option("--write", everything->write,
                  "write the page here and scores.json, accuracy.json, results and figures beside it");
  all->add_option("--check", everything->check, "fail when a figure is worse than in these scores");
}

}  // namespace trainyard
