#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "sim/cli/verbs.hpp"
#include "validation/fit_collectives.hpp"
#include "validation/fit_framework.hpp"
#include "validation/fit_kernels.hpp"

namespace trainyard {
namespace {

struct CalibrateOptions {
  std::string gpu;
  std::string framework;
  std::vector<std::string> parameters;
  std::string network = "analytic";
  bool collectives = false;
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

// The catalogue's own list says which systems each calibration is fitted to, and they are always saved.
Json calibrate_collectives(const CalibrateOptions& options) {
  const std::vector<std::filesystem::path> paths(options.files.begin(), options.files.end());
  return {{"saved", fit_catalogue_calibrations(paths)}};
}

Json calibrate_framework(const CalibrateOptions& options) {
  const auto network = kNetworkNames.find(options.network);
  if (!network) {
    throw UserError({.file = "--network",
                     .found = options.network,
                     .allowed = join_names(kNetworkNames.names()),
                     .problem = "unknown network"});
  }
  return fit_framework({.framework = options.framework,
                        .tables = {options.files.begin(), options.files.end()},
                        .network = *network,
                        .parameters = options.parameters});
}

void check_choice(const CalibrateOptions& options) {
  const std::string remedy = "name one of --gpu G, --framework F --parameters P,..., --collectives --save";
  const int choices =
      (options.gpu.empty() ? 0 : 1) + (options.framework.empty() ? 0 : 1) + (options.collectives ? 1 : 0);
  if (choices != 1) {
    throw UserError({.file = "command line",
                     .found = fmt::format("{} of --gpu, --framework and --collectives", choices),
                     .allowed = "exactly one",
                     .problem = "say what to calibrate",
                     .remedy = remedy});
  }
  if (!options.framework.empty() && options.parameters.empty()) {
    throw UserError({.file = "--parameters",
                     .found = "nothing",
                     .allowed = join_names(fitted_parameter_names()),
                     .problem = "say which parameters of the framework profile to fit",
                     .remedy = remedy});
  }
  if (options.collectives && !options.save) {
    throw UserError({.file = "--collectives",
                     .allowed = "--collectives --save",
                     .problem = "collective calibrations are fitted into the catalogue",
                     .remedy = remedy});
  }
}

void calibrate(const CalibrateOptions& options) {
  check_choice(options);
  options.json.check();
  const Json result = options.collectives          ? calibrate_collectives(options)
                      : !options.framework.empty() ? calibrate_framework(options)
                                                   : calibrate_kernels(options);
  if (!options.json.to_stdout()) {
    fmt::print("{}\n", result.dump(2));
  }
  options.json.write(result);
}

}  // namespace

void add_calibrate_verb(CLI::App& app) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App* verb =
      app.add_subcommand("calibrate", "fit kernel, collective or framework models to tables of measurements (minutes)");
  verb->add_option("--gpu", options->gpu, "GPU of the catalogue whose kernels to fit");
  verb->add_option("--framework", options->framework,
                   "framework profile whose host costs and kernel rate to fit to runs");
  verb->add_option("--parameters", options->parameters, "which of them, separated by commas")->delimiter(',');
  verb->add_option("--network", options->network, "analytic (default) or flow, for --framework");
  verb->add_flag("--collectives", options->collectives, "fit the catalogue's collective calibrations");
  verb->add_flag("--save", options->save, "write the fit into the catalogue");
  verb->add_option("files", options->files, "tables of measurements (CSV)")->required();
  options->json.add_to(*verb);
  verb->callback([options] { calibrate(*options); });
}

}  // namespace trainyard
