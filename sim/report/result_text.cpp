#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "sim/base/quantity_text.hpp"
#include "sim/report/report.hpp"
#include "sim/scenario/mixed_gpus.hpp"
#include "sim/scenario/pipeline_keys.hpp"
#include "sim/scenario/read_variation.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kPathLines = 8;
constexpr std::size_t kLinkLines = 5;
constexpr double kBarWidth = 40.0;  // characters of a whole step

std::string percent(double ratio) {
  return fmt::format("{:5.1f} %", ratio * 100.0);
}

// What was asked, defaults filled in.
std::string scenario_text(const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  const Training& training = scenario.training;
  std::string out = fmt::format("{} on {} ({}), {}\n", scenario.model.name, gpus_text(scenario), scenario.cluster.name,
                                scenario.framework.name);
  out += fmt::format("  layout    tp {}  pp {}  vpp {}  cp {}  ep {}  dp {}  sequence parallel {}  order {}\n",
                     layout.tp, layout.pp, layout.vpp, layout.cp, layout.ep, layout.dp,
                     layout.sequence_parallel == SequenceParallel::kOn ? "on" : "off", layout.order);
  out += fmt::format("  batch     {} {}: {} micro-batches of {} on each of {} replicas\n", training.global_batch,
                     scenario.model.network ? "samples" : fmt::format("sequences of {} tokens", training.seq_len),
                     scenario.micro_batches(), training.micro_batch, layout.dp);
  out += fmt::format("  recipe    {}  {}  recompute {}  ZeRO {}  schedule {}  gradients {}\n",
                     kPrecisionNames.name_of(training.precision), kOptimizerNames.name_of(training.optimizer),
                     kRecomputeNames.name_of(training.recompute), training.zero_stage, schedule_text(training),
                     kPrecisionNames.name_of(training.grad_dtype));
  if (training.strategy) {
    out += fmt::format("  strategy  {}; {} updates a worker simulated\n", update_strategy_text(*training.strategy),
                       training.strategy->updates);
  }
  if (training.collective_algorithm) {
    out += fmt::format("  forced    {} where it does the collective\n", name_of(training.collective_algorithm));
  }
  out += notes_text(scenario.notes);
  if (scenario.variation.any()) {
    out += fmt::format("  variation {}  seed {}\n", variation_text(scenario.variation), scenario.seed);
  }
  return out;
}

std::string rates_text(const Scenario& scenario, const Report& report, const Uncertainty& uncertainty) {
  std::string out = fmt::format("step time     {}", to_text(report.step));
  if (uncertainty.high) {
    out += fmt::format("  ({} to {})", to_text(uncertainty.low), to_text(*uncertainty.high));
  }
  out += fmt::format("\n              {}\n", uncertainty.basis);
  const std::string sequences =
      scenario.model.network ? std::string() : fmt::format("; {:.2f} sequences/s", report.samples_per_second);
  out += fmt::format("throughput    {:.0f} {}/s, {:.1f} per GPU{}\n", report.tokens_per_second,
                     scenario.model.network ? "samples" : "tokens",
                     report.tokens_per_second / static_cast<double>(scenario.gpus), sequences);
  out += fmt::format("utilisation   {} per GPU, MFU {:.1f} %, HFU {:.1f} %\n", to_text(report.model_flops_per_gpu),
                     report.mfu * 100.0, report.hfu * 100.0);
  if (report.input) {
    out += fmt::format("input         {}\n", input_use_text(*report.input, report.step));
  }
  return out;
}

std::string breakdown_text(const Report& report) {
  std::string out = "where the step went (average over GPUs)\n";
  for (const Breakdown::Part& part : report.breakdown.parts()) {
    if (part.time > Seconds{}) {
      const double share = part.time / report.step;
      out += fmt::format("  {:<12} {:>10}  {}  {}\n", part.name, to_text(part.time), percent(share),
                         std::string(static_cast<std::size_t>(std::lround(std::max(0.0, share) * kBarWidth)), '#'));
    }
  }
  return out;
}

// How the workers of a strategy met.
std::string updates_text(const UpdateSummary& updates) {
  std::string out = fmt::format("updates (of {} workers)\n", updates.workers);
  out += fmt::format("  {:.4g} a second; a worker sends {} in an iteration\n", updates.updates_per_second,
                     to_text(updates.sent));
  if (updates.busiest_server > 0.0) {
    out += fmt::format("  the busiest server's NIC moves all it can {:.1f} % of the time\n",
                       updates.busiest_server * 100.0);
  }
  if (updates.dropped > 0) {
    out += fmt::format("  {} gradients came too late or never\n", updates.dropped);
  }
  out += fmt::format("  staleness {:.2f} versions on average, {} at most\n", updates.mean_staleness,
                     updates.staleness.empty() ? 0 : updates.staleness.size() - 1);
  const auto [least, most] = std::minmax_element(updates.mean_staleness_of.begin(), updates.mean_staleness_of.end());
  if (least != most && *least < *most) {
    out += fmt::format("  of one worker on average from {:.2f} (worker {}) to {:.2f} (worker {})\n", *least,
                       least - updates.mean_staleness_of.begin(), *most, most - updates.mean_staleness_of.begin());
  }
  return out;
}

std::string path_text(const Report& report) {
  const Seconds whole = report.updates ? report.updates->iteration : report.step;
  std::string out = "critical path (longest parts)\n";
  Seconds rest{};
  for (std::size_t i = 0; i < report.critical_path.size(); ++i) {
    const CriticalPart& part = report.critical_path[i];
    if (i < kPathLines) {
      out += fmt::format("  {:>10}  {}  {:<9} {} x {}\n", to_text(part.time), percent(part.time / whole),
                         part.rank_class, part.count, part.operation);
    } else {
      rest += part.time;
    }
  }
  if (report.critical_path.size() > kPathLines) {
    out += fmt::format("  {:>10}  {}  {} others\n", to_text(rest), percent(rest / whole),
                       report.critical_path.size() - kPathLines);
  }
  return out;
}

std::string links_text(const Report& report) {
  std::vector<const LinkUse*> busiest;
  for (const LinkUse& link : report.links) {
    busiest.push_back(&link);
  }
  std::stable_sort(busiest.begin(), busiest.end(), [](const LinkUse* a, const LinkUse* b) {
    return b->bytes / b->bandwidth < a->bytes / a->bandwidth;
  });
  if (busiest.empty()) {
    return "";
  }
  std::string out = "busiest links (share of the step, bytes, how many alike)\n";
  for (std::size_t i = 0; i < std::min(kLinkLines, busiest.size()); ++i) {
    const LinkUse& link = *busiest[i];
    out += fmt::format("  {}  {:>10} at {:>10}  {:>6} like {}\n", percent(link.bytes / link.bandwidth / report.step),
                       to_text(link.bytes), to_text(link.bandwidth), link.count, link.name);
  }
  return out;
}

}  // namespace

std::string result_text(const Scenario& scenario, const Layout& layout, const Report& report,
                        const Uncertainty& uncertainty, Seconds wall) {
  std::string out = scenario_text(scenario) + notes_text(report.notes);
  out += "\n" + rates_text(scenario, report, uncertainty);
  out += "\n" + breakdown_text(report);
  out += report.updates ? "\n" + updates_text(*report.updates) : "";
  out += "\n" + memory_summary_text(scenario, layout, report.memory);
  out += report.updates ? "\none worker alone, its own update included: " : "\n";
  out += path_text(report);
  const std::string links = links_text(report);
  out += links.empty() ? "" : "\n" + links;
  out +=
      fmt::format("\nsimulated {} of {} ranks, {} of {} flows, {}{} events ({}) in {}\n", report.ranks_simulated,
                  report.ranks, report.flows_simulated, report.flows,
                  report.micro_batches_simulated == report.micro_batches
                      ? ""
                      : fmt::format("{} of {} micro-batches, ", report.micro_batches_simulated, report.micro_batches),
                  report.events, kNetworkNames.name_of(scenario.network), to_text(wall));
  return out;
}

}  // namespace trainyard
