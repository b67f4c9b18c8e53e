#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/files.hpp"
#include "sim/base/json_text.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/scenario/scenario.hpp"
#include "validation/cli/calibrate_collectives.hpp"
#include "validation/cli/measured_collectives.hpp"
#include "validation/cli/validation_verbs.hpp"
#include "validation/fit/fit_collectives.hpp"
#include "validation/fit/fit_framework.hpp"
#include "validation/fit/fit_kernels.hpp"

namespace trainyard {
namespace {

struct CalibrateOptions {
  std::string gpu;
  std::string framework;
  std::vector<std::string> parameters;
  std::size_t most_rows = std::numeric_limits<std::size_t>::max();
  std::string network = "analytic";
  bool collectives = false;
  MeasuredCollectivesOptions measured;
  std::string out;
  bool save = false;
  std::vector<std::string> files;
  JsonOutput json;
};

Json calibrate_kernels(const CalibrateOptions& options) {
  const KernelFit fit = fit_kernels(options.gpu, options.files);
  if (options.save) {
    save_fit(fit);
  }
  return to_json(fit);
}

// A user's own cluster: nccl-tests logs, tables or the microbenchmark suite's output.
Json calibrate_cluster(const CalibrateOptions& options) {
  return calibrate_collectives(options.measured.sources({options.files.begin(), options.files.end()}));
}

// The catalogue's own list says which systems each calibration is fitted to, and they are always saved.
Json calibrate_catalogue(const CalibrateOptions& options) {
  const std::vector<std::filesystem::path> paths(options.files.begin(), options.files.end());
  return {{"saved", fit_catalogue_calibrations(paths)}};
}

Json calibrate_framework(const CalibrateOptions& options) {
  return fit_framework({.framework = options.framework,
                        .tables = {options.files.begin(), options.files.end()},
                        .network = named_choice("--network", options.network, kNetworkNames),
                        .parameters = options.parameters,
                        .most_rows = options.most_rows});
}

void check_choice(const CalibrateOptions& options) {
  const std::string remedy = "name one of --gpu G, --cluster C, --framework F --parameters P,..., --collectives --save";
  const int choices = (options.gpu.empty() ? 0 : 1) + (options.measured.cluster.empty() ? 0 : 1) +
                      (options.framework.empty() ? 0 : 1) + (options.collectives ? 1 : 0);
  if (choices != 1) {
    throw UserError({.file = "command line",
                     .found = fmt::format("{} of --gpu, --cluster, --framework and --collectives", choices),
                     .allowed = "exactly one",
                     .problem = "say what to calibrate",
                     .remedy = remedy});
  }
  if (const std::string idle = options.measured.first_given(); options.measured.cluster.empty() && !idle.empty()) {
    throw UserError({.file = idle,
                     .allowed = "beside --cluster",
                     .problem = "only measured collectives have a use for this option",
                     .remedy = "leave it out"});
  }
  if (!options.framework.empty() && options.parameters.empty()) {
    throw UserError({.file = "--parameters",
                     .found = "nothing",
                     .allowed = join_names(fitted_parameter_names()),
                     .problem = "say which parameters of the framework profile to fit",
                     .remedy = remedy});
  }
  if (options.framework.empty() && options.most_rows != CalibrateOptions{}.most_rows) {
    throw UserError({.file = "--most-rows",
                     .found = fmt::format("{}", options.most_rows),
                     .allowed = "beside --framework",
                     .problem = "only fits to runs draw rows",
                     .remedy = "leave it out"});
  }
  if (options.collectives && !options.save) {
    throw UserError({.file = "--collectives",
                     .allowed = "--collectives --save",
                     .problem = "collective calibrations are fitted into the catalogue",
                     .remedy = remedy});
  }
}

// What of the measurements took no part, and why.
void print_left_out(const Json& result) {
  const Json::json_pointer place("/fit/left_out");
  for (const Json& one : result.contains(place) ? result.at(place) : Json::array()) {
    print_note(
        fmt::format("{} rows left out: {}\n", one.at("rows").get<std::int64_t>(), one.at("reason").get<std::string>()));
  }
}

void calibrate(const CalibrateOptions& options) {
  check_choice(options);
  check_outputs({options.json.option(), {"--out", options.out}}, options.files);
  const Json result = options.collectives                 ? calibrate_catalogue(options)
                      : !options.measured.cluster.empty() ? calibrate_cluster(options)
                      : !options.framework.empty()        ? calibrate_framework(options)
                                                          : calibrate_kernels(options);
  print_left_out(result);
  if (!options.out.empty()) {
    write_file(options.out, json_text(result, 2) + "\n");
    const std::string written = fmt::format("{} written\n", options.out);
    options.json.to_stdout() ? print_note(written) : print_text(written);
  } else if (!options.json.to_stdout()) {
    print_text("{}\n", json_text(result, 2));
  }
  options.json.write(result);
}

}  // namespace

void add_calibrate_verb(CLI::App& app) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* verb =
      app.add_subcommand("calibrate", "fit kernel, collective or framework models to tables of measurements (minutes)");
  verb->add_option("--gpu", options->gpu, "GPU of the catalogue whose kernels to fit");
  options->measured.add_to(*verb, "cluster whose collectives to fit to nccl-tests logs, tables or suite output");
  CLI::Option* const framework = verb->add_option("--framework", options->framework,
                                                  "framework profile whose host costs and kernel rate to fit to runs");
  verb->add_option("--parameters", options->parameters, "which of them, separated by commas")
      ->delimiter(',')
      ->needs(framework);
  verb->add_option("--network", options->network, "analytic (default) or flow, for --framework")->needs(framework);
  verb->add_option("--most-rows", options->most_rows,
                   "runs that take part, drawn by the hashes of their ids, for --framework")
      ->check(CLI::PositiveNumber);
  verb->add_flag("--collectives", options->collectives, "fit the catalogue's collective calibrations");
  verb->add_flag("--save", options->save, "write the fit into the catalogue; of --gpu and --collectives")
      ->excludes(verb->get_option("--cluster"))
      ->excludes(framework);
  verb->add_option("--out", options->out, "write the profile here");
  verb->add_option("files", options->files,
                   "tables of measurements (CSV), output of the microbenchmark suite (.jsonl), nccl-tests logs")
      ->required();
  options->json.add_to(*verb);
  verb->callback([options] { calibrate(*options); });
}

}  // namespace trainyard
