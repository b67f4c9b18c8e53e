#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <memory>

#include "sim/base/files.hpp"
#include "sim/cli/scenario_options.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/report/uncertainty.hpp"
#include "sim/scenario/read_scenario.hpp"
#include "sim/studies/scaling.hpp"

namespace trainyard {
namespace {

constexpr int kMostScaledBatch = 1'000'000'000;

struct ScaleOptions {
  ScenarioOptions scenario;
  JsonOutput json;
  std::string gpus;
  std::string scaling = "strong";
  std::string batches;
  std::string worth = "0.5";
  std::string statistics;
  std::string critical_batch;
  std::string samples;
  std::string csv;
  std::string plot;
};

// A number above zero, and at most `largest`.
double positive_number(const std::string& flag, const std::string& typed, double largest) {
  double value = 0.0;
  const char* const end = typed.data() + typed.size();
  const auto [rest, error] = std::from_chars(typed.data(), end, value);
  if (error != std::errc() || rest != end || !(value > 0.0) || !(value <= largest)) {
    throw UserError({.file = flag,
                     .found = fmt::format("\"{}\"", typed),
                     .allowed = fmt::format("a number above 0, at most {:g}", largest),
                     .problem = "the number is out of range or no number"});
  }
  return value;
}

// "8,16,32": whole numbers that ascend. None where the option was not given.
std::vector<std::int64_t> ascending_numbers(const std::string& flag, const std::string& typed, int largest) {
  std::vector<std::int64_t> out;
  for (std::size_t start = 0; !typed.empty() && start <= typed.size();) {
    const std::size_t comma = std::min(typed.find(',', start), typed.size());
    out.push_back(whole_number(flag, typed.substr(start, comma - start), 1, largest));
    start = comma + 1;
    if (out.size() > 1 && out.back() <= out[out.size() - 2]) {
      throw UserError({.file = flag,
                       .found = typed,
                       .allowed = "each larger than the one before, as 8,16,32",
                       .problem = "the numbers do not ascend"});
    }
  }
  return out;
}

std::optional<BatchStatistics> statistics_of(const ScaleOptions& options, const Scenario& job) {
  constexpr double kMostSamples = 1e18;
  if (!options.statistics.empty()) {
    return load_batch_reference(options.statistics, "--statistics").at(static_cast<double>(job.training.seq_len));
  }
  if (options.critical_batch.empty()) {
    return std::nullopt;
  }
  return BatchStatistics{.least_samples = positive_number("--samples", options.samples, kMostSamples),
                         .critical_batch = positive_number("--critical-batch", options.critical_batch, kMostSamples)};
}

std::string reasons_of(const ScalingStudy& study) {
  std::vector<std::string> reasons;
  for (const ScalingCurve& curve : study.curves) {
    for (const ScalingPoint& point : curve.points) {
      const std::string reason = fmt::format("{} GPUs, batch {}: {}{}", point.gpus, point.global_batch, point.refused,
                                             point.found.empty() ? "" : " (" + point.found + ")");
      constexpr std::size_t kMostReasons = 4;
      if (reasons.size() < kMostReasons) {
        reasons.push_back(reason);
      }
    }
  }
  return fmt::format("{}", fmt::join(reasons, "; "));
}

struct AskedJob {
  ScalingJob document;
  Scenario stated;
};

AskedJob asked_job(const ScenarioOptions& options) {
  ScenarioOptions::Asked asked = options.asked();
  try {
    Scenario job = read_job(asked.document, asked.file);
    print_notes(job);
    const Json& document = asked.document;
    if (document.contains("layout") && document.at("layout").contains("dp")) {
      print_note("trainyard: dp is that of the job on its own GPUs; the sweep sets it elsewhere\n");
    }
    return {.document = {std::move(asked.document), std::move(asked.file)}, .stated = std::move(job)};
  } catch (const UserError& error) {
    throw options.named(error);
  }
}

void scale(const ScaleOptions& options) {
  ScalingQuestion question{.scaling = named_choice("--scaling", options.scaling, kScalingNames),
                           .gpus = ascending_numbers("--scale-gpus", options.gpus, kMostGpus),
                           .batches = ascending_numbers("--batches", options.batches, kMostScaledBatch),
                           .worth = positive_number("--worth", options.worth, 1.0),
                           .statistics = std::nullopt};
  const AskedJob job = asked_job(options.scenario);
  question.statistics = statistics_of(options, job.stated);
  check_outputs({options.json.option(), {"--csv", options.csv}, {"--plot", options.plot}});
  const std::vector<ValidatedFamily> accuracy = load_accuracy();
  const ScalingStudy study = study_scaling(job.document, job.stated, question);
  if (!study.any_answered()) {
    throw UserError({.file = "scale",
                     .found = reasons_of(study),
                     .allowed = "numbers of GPUs that the layout divides, and on which the job fits",
                     .problem = "no point of the sweep can be simulated",
                     .remedy = "change what these reasons name"},
                    ExitCode::kInfeasible);
  }
  if (!options.csv.empty()) {
    write_file(options.csv, scaling_csv(study));
  }
  if (!options.plot.empty()) {
    write_file(options.plot,
               draw_scaling(study, fmt::format("{} on {}, {}: {} scaling", job.stated.model.name,
                                               job.stated.cluster.name, job.stated.framework.name, options.scaling)));
  }
  if (!options.json.to_stdout()) {
    print_text("{}", scaling_text(study, job.stated, accuracy));
  }
  if (!options.json.target.empty()) {
    Json document = scaling_json(study, job.stated, accuracy);
    document["notes"] = job.stated.notes;
    document["scenario"] = job.document.document;  // what all points have in common
    options.json.write(document);
  }
}

}  // namespace

void add_scale_verb(CLI::App& app) {
  auto options = std::make_shared<ScaleOptions>();
  CLI::App* verb = app.add_subcommand("scale", "how many nodes, what batch: one job on more and more GPUs");
  verb->footer(
      "e.g. trainyard scale --model llama-2-7b --cluster dgx-h100 --gpus 1024 --tp 2 --global-batch 512 --plot "
      "out.svg");
  options->scenario.add_to(*verb);
  options->json.add_to(*verb);
  verb->add_option(
      "--scale-gpus", options->gpus,
      "numbers of GPUs, with commas (default: doublings of the fewest that the layout takes, up to --gpus)");
  verb->add_option("--scaling", options->scaling,
                   "strong (default): the global batch stays; weak: the batch of a replica, as of the job on --gpus");
  verb->add_option("--batches", options->batches,
                   "global batches of the job on --gpus, with commas, a curve each (default: its own)");
  verb->add_option(
      "--worth", options->worth,
      "behind the knee GPUs added bring less than this share of what each of the first brings (default 0.5)");
  CLI::Option* const statistics = verb->add_option(
      "--statistics", options->statistics,
      fmt::format("samples to a target by batch, of a published model: {}", join_names(batch_reference_names())));
  CLI::Option* const critical =
      verb->add_option("--critical-batch", options->critical_batch, "samples in a step that need twice --samples");
  CLI::Option* const samples =
      verb->add_option("--samples", options->samples, "samples to the target with a small batch");
  critical->needs(samples)->excludes(statistics);
  samples->needs(critical)->excludes(statistics);
  verb->add_option("--csv", options->csv, "write a row for every point (CSV)");
  verb->add_option("--plot", options->plot, "draw throughput and efficiency over GPUs (SVG)");
  verb->callback([options] { scale(*options); });
}

}  // namespace trainyard
