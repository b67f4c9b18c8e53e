#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "models/model.hpp"
#include "sim/base/quantity_text.hpp"
#include "sim/cli/converge_options.hpp"
#include "sim/cli/scenario_options.hpp"
#include "sim/memory/check_fits.hpp"
#include "sim/predict/predict.hpp"
#include "sim/predict/worker.hpp"
#include "sim/scenario/read_scenario.hpp"

namespace trainyard {
namespace {

struct TypedQuantity {
  const char* flag;
  const std::string& text;
};

WorkerSource source_of_micro_batch(const ConvergeOptions& options, int micro_batch) {
  const std::string micro = std::to_string(micro_batch);
  const std::vector<Assignment> assignments = {{"--model", "model", options.model, options.model},
                                               {"--cluster", "cluster", options.cluster, options.cluster},
                                               {"converge", "gpus", "1", "1"},
                                               {"--batch", "training.global_batch", options.batch, options.batch},
                                               {"--batch", "training.micro_batch", micro, micro}};
  try {
    Json document = Json::object();
    assign(document, assignments);
    const Scenario scenario = read_scenario(document, "command line");
    const Layout layout = make_layout(scenario);
    check_fits(estimate_memory(scenario, layout), scenario);
    return {.compute = predict_step(scenario),
            .parameters = pushed_bytes(scenario.model),
            .nic = nic_of(scenario.cluster),
            .layers = worker_layers(scenario, layout),
            .gpu = scenario.gpu};
  } catch (const UserError& error) {
    Fault fault = name_flag(error.fault(), assignments);
    if (error.code() == ExitCode::kInfeasible) {
      fault.remedy = "a worker is one GPU: choose a smaller model, or a GPU of more memory";
    }
    throw UserError(std::move(fault), error.code());
  }
}

// The whole batch in one pass, or in the fewest equal ones that fit in memory.
WorkerSource source_of_job(const ConvergeOptions& options) {
  constexpr int kLargestBatch = 1'000'000;
  const int batch = whole_number("--batch", options.batch, 1, kLargestBatch);
  for (int passes = 1; passes < batch; ++passes) {
    if (batch % passes == 0) {
      try {
        return source_of_micro_batch(options, batch / passes);
      } catch (const UserError& error) {
        if (error.code() != ExitCode::kInfeasible) {
          throw;
        }
      }
    }
  }
  return source_of_micro_batch(options, 1);
}

}  // namespace

WorkerSource worker_source(const ConvergeOptions& options) {
  const auto stated = std::to_array<TypedQuantity>({{"--compute", options.compute},
                                                    {"--parameters", options.parameters},
                                                    {"--bandwidth", options.bandwidth},
                                                    {"--latency", options.latency}});
  const std::string allowed = "--compute, --parameters and --bandwidth (and --latency), or --model and --cluster";
  const bool is_job = !options.model.empty() || !options.cluster.empty();
  for (const TypedQuantity& one : stated) {
    if (is_job && !one.text.empty()) {
      throw UserError({.file = one.flag,
                       .found = one.text,
                       .allowed = allowed,
                       .problem = "the model and the cluster say this already"});
    }
    if (!is_job && one.text.empty() && one.flag != stated.back().flag) {
      throw UserError({.file = "command line",
                       .found = fmt::format("no {}", one.flag),
                       .allowed = allowed,
                       .problem = "say what an iteration of a worker takes"});
    }
  }
  if (is_job) {
    for (const TypedQuantity& one : {TypedQuantity{"--model", options.model}, {"--cluster", options.cluster}}) {
      if (one.text.empty()) {
        throw UserError({.file = "command line",
                         .found = fmt::format("no {}", one.flag),
                         .allowed = allowed,
                         .problem = "a model is trained on a cluster"});
      }
    }
    return source_of_job(options);
  }
  return {.compute = typed_quantity(stated[0].flag, stated[0].text, parse_seconds),
          .parameters = typed_quantity(stated[1].flag, stated[1].text, parse_bytes),
          .nic = {.bandwidth = typed_quantity(stated[2].flag, stated[2].text, parse_bytes_per_second),
                  .latency =
                      options.latency.empty() ? 10_us : typed_quantity(stated[3].flag, stated[3].text, parse_seconds)}};
}

}  // namespace trainyard
