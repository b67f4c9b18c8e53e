#include "sim/predict/predict.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <stdexcept>

#include "sim/base/error.hpp"
#include "sim/base/fork_pool.hpp"
#include "sim/base/json_text.hpp"
#include "sim/collectives/algorithms/table.hpp"
#include "sim/collectives/plan.hpp"
#include "sim/engine/simulate.hpp"
#include "sim/predict/repetition.hpp"
#include "sim/predict/timeline_bytes.hpp"
#include "sim/program/assembly/build_program.hpp"

namespace trainyard {

namespace {

const NcclVersion& version_of(const Scenario& scenario) {
  return nccl_version(scenario.framework.nccl_version, scenario.framework.name, "/nccl_version");
}

}  // namespace

ClusterNetworkCosts::ClusterNetworkCosts(const Scenario& scenario, const Fabric& fabric)
    : cluster_(scenario.cluster),
      fabric_(fabric),
      options_{.nccl_version = version_of(scenario).name,
               .algorithm = scenario.training.collective_algorithm,
               .unserved = Unserved::kOwnChoice,
               .algorithm_file = "scenario",
               .algorithm_pointer = "/training/collective_algorithm"} {}

CollectivePlan ClusterNetworkCosts::plan(const CollectiveRequest& request) const {
  return plan_collective(request, cluster_, fabric_, options_);
}

ScenarioKernelCosts::ScenarioKernelCosts(const Scenario& scenario) {
  for (const GpuSpec& gpu : scenario.different_gpus()) {
    owned_.push_back(calibrated_kernel_costs(gpu, kernel_options(scenario.framework)));
    by_kind_.push_back(owned_.back().get());
  }
}

namespace {

Fabric fabric_of(const Scenario& scenario) {
  return build_fabric(scenario.cluster, static_cast<int>(scenario.gpus));
}

Program program_of(const Scenario& scenario, const Layout& layout) {
  return build_program(scenario, layout, ScenarioKernelCosts(scenario).by_kind());
}

// In a child: SimGrid keeps its clock, and whoever asks may ask again.
Timeline simulate_by_simgrid(const Scenario& scenario, const Fabric& fabric, const Program& program,
                             const NetworkCosts& network) {
  const auto outputs = run_in_children(1, 1, [&](std::size_t) -> std::string {
    try {
      return "T" + timeline_bytes(simulate_simgrid(program, fabric, network, scenario.fold));
    } catch (const UserError& error) {
      const Fault& fault = error.fault();
      return json_text(Json{{"file", fault.file},
                            {"pointer", fault.pointer},
                            {"found", fault.found},
                            {"allowed", fault.allowed},
                            {"problem", fault.problem},
                            {"remedy", fault.remedy},
                            {"code", static_cast<int>(error.code())}});
    }
  });
  if (!outputs.front()) {
    throw std::runtime_error("SimGrid's process was ended");
  }
  if (outputs.front()->front() == 'T') {
    return timeline_from_bytes(outputs.front()->substr(1));
  }
  const Json fault = Json::parse(*outputs.front());
  throw UserError({.file = fault.at("file"),
                   .pointer = fault.at("pointer"),
                   .found = fault.at("found"),
                   .allowed = fault.at("allowed"),
                   .problem = fault.at("problem"),
                   .remedy = fault.at("remedy")},
                  static_cast<ExitCode>(fault.at("code").get<int>()));
}

// A forced algorithm that no collective of the step can use.
std::vector<std::string> algorithm_notes(const Scenario& scenario, const Program& program) {
  const std::optional<Algorithm> forced = scenario.training.collective_algorithm;
  if (!forced) {
    return {};
  }
  const NcclVersion& version = version_of(scenario);
  const CollectiveAlgorithm& row = row_of(*forced);
  // Sends have no other algorithm than their own: to force it changes nothing.
  const bool serves =
      row.name != Algorithm::kPointToPoint &&
      std::any_of(program.communications.begin(), program.communications.end(), [&](const Communication& one) {
        return !one.host && one.groups.front().size() > 1 &&
               row.serves(one.op == CollectiveOp::kBarrier ? CollectiveOp::kAllReduce : one.op, version);
      });
  if (serves) {
    return {};
  }
  return {fmt::format("training.collective_algorithm changes nothing here: no call of this step has {} for a choice",
                      name_of(forced))};
}

Timeline simulate(const Scenario& scenario, const Fabric& fabric, const Program& program) {
  const ClusterNetworkCosts network(scenario, fabric);
  switch (scenario.network) {
    case Network::kFlow:
      return simulate_flow(program, fabric, network, scenario.fold);
    case Network::kSimgrid:
      return simulate_by_simgrid(scenario, fabric, program, network);
    case Network::kAnalytic:
      break;
  }
  return simulate_analytic(program, fabric, network);
}

}  // namespace

Prediction predict(const Scenario& scenario) {
  refuse_updates(scenario, "a timeline is of one step");
  Layout layout = make_layout(scenario);
  Program program = program_of(scenario, layout);
  Timeline timeline = simulate(scenario, fabric_of(scenario), program);
  Report report = make_report(scenario, layout, program, timeline);
  report.notes = algorithm_notes(scenario, program);
  return {std::move(layout), std::move(program), std::move(timeline), std::move(report)};
}

namespace {

// Both short steps, or nothing where the longer one is not the shorter with a period inserted, or a child died.
std::optional<Report> extended(const Scenario& scenario, const Layout& layout, const ShortSteps& steps) {
  const std::array<Scenario, 2> asked = {with_micro_batches(scenario, steps.shorter),
                                         with_micro_batches(scenario, steps.longer)};
  // What is there when the children start they need not make.
  const Fabric fabric = fabric_of(scenario);
  const std::array<Program, 2> programs = {program_of(asked[0], layout), program_of(asked[1], layout)};
  const auto outputs = run_in_children(asked.size(), available_processors(), [&](std::size_t task) -> std::string {
    try {
      return timeline_bytes(simulate(asked[task], fabric, programs[task]));
    } catch (const std::exception&) {
      return {};  // a deadlock or worse: the whole step will say what and where
    }
  });
  std::array<Timeline, 2> timelines;
  for (std::size_t i = 0; i < asked.size(); ++i) {
    if (!outputs[i] || outputs[i]->empty()) {
      return std::nullopt;
    }
    timelines[i] = timeline_from_bytes(*outputs[i]);
  }
  if (!repeats(programs[0], timelines[0], programs[1], timelines[1])) {
    return std::nullopt;
  }
  const ShortReports reports{.shorter = make_report(asked[0], layout, programs[0], timelines[0]),
                             .longer = make_report(asked[1], layout, programs[1], timelines[1])};
  std::optional<Report> report = extend_report(reports, scenario, layout, steps.times);
  if (report) {
    report->micro_batches = scenario.micro_batches();
    report->micro_batches_simulated = steps.shorter + steps.longer;
    report->events = timelines[0].events + timelines[1].events;
    report->notes = algorithm_notes(scenario, programs[0]);
  }
  return report;
}

}  // namespace

Answer answer_step(const Scenario& scenario) {
  Layout layout = make_layout(scenario);
  for (const ShortSteps& steps : short_steps(scenario)) {
    if (auto report = extended(scenario, layout, steps)) {
      return {std::move(layout), std::move(*report)};
    }
  }
  Prediction whole = predict(scenario);
  return {std::move(whole.layout), std::move(whole.report)};
}

void refuse_updates(const Scenario& scenario, std::string_view why) {
  if (scenario.training.strategy) {
    throw UserError({.file = "scenario",
                     .pointer = "/training/strategy",
                     .found = update_strategy_text(*scenario.training.strategy),
                     .allowed = "without training.strategy",
                     .problem = std::string(why) + ", and the replicas meet over many",
                     .remedy = "leave training.strategy out, or ask run, scale, compare or memory"});
  }
}

Seconds predict_step(const Scenario& scenario) {
  refuse_updates(scenario, "this is of one step");
  return simulate(scenario, fabric_of(scenario), program_of(scenario, make_layout(scenario))).step;
}

void check_schedule_table(const Scenario& scenario) {
  if (scenario.training.schedule_table) {
    Scenario alone = scenario;
    alone.network = Network::kAnalytic;
    predict_step(alone);
  }
}

}  // namespace trainyard
