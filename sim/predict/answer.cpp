#include "sim/predict/answer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <utility>

#include "sim/base/effort.hpp"
#include "sim/predict/worker.hpp"
#include "sim/scenario/worker_alone.hpp"
#include "sim/updates/compressors/table.hpp"
#include "sim/updates/data_sizes.hpp"
#include "sim/updates/pushed.hpp"
#include "sim/updates/simulate_updates.hpp"
#include "sim/updates/strategy.hpp"

namespace trainyard {
namespace {

// What a channel of gRPC moves between a worker and a server, and eight beside one another three times as much at
// least. Source: measured on Xeon E5-2630 v3, github.com/tensorflow/tensorflow/issues/6116: 0.9 GB/s, 2.6 GB/s over 8
// servers.
constexpr BytesPerSecond kGrpcChannel{0.9e9};

bool in_one_node(const Scenario& scenario) {
  return scenario.gpus <= scenario.cluster.gpus_per_node && scenario.cluster.node.host_link.value > 0.0;
}

// What a worker has of the network. In one node gradients meet in the memory of the host.
Nic worker_nic(const Scenario& scenario) {
  constexpr Seconds kHostLatency = 10_us;
  const auto gpus = static_cast<double>(scenario.training.strategy->worker_gpus);
  if (in_one_node(scenario)) {
    return {.bandwidth = scenario.cluster.node.host_link * gpus, .latency = kHostLatency};
  }
  Nic nic = nic_of(scenario.cluster);
  nic.bandwidth *= gpus;
  return nic;
}

// A server's own node has all NICs of a node; in one node it is the host's memory, or what all links bring.
Nic server_nic(const Scenario& scenario) {
  Nic nic = worker_nic(scenario);
  const NodeTraits& node = scenario.cluster.node;
  if (in_one_node(scenario)) {
    nic.bandwidth =
        node.host_bandwidth.value > 0.0 ? node.host_bandwidth : node.host_link * static_cast<double>(scenario.gpus);
    return nic;
  }
  nic.bandwidth = nic_of(scenario.cluster).bandwidth * static_cast<double>(scenario.cluster.gpus_per_node);
  return nic;
}

// By worker: its times, over those of the first GPUs' kind and of GPUs that nothing slows.
std::vector<double> slowdowns(const Scenario& scenario, const Layout& layout, Seconds first_kind) {
  const Variation variation = variation_of(scenario);
  std::map<std::size_t, double> of_kind = {{scenario.gpu_kind(0), 1.0}};
  const auto kind_factor = [&](std::size_t kind) {
    const auto [entry, is_new] = of_kind.try_emplace(kind);
    if (is_new) {
      entry->second = predict_step(worker_alone(scenario, kind)) / first_kind;
    }
    return entry->second;
  };
  const std::int64_t workers = scenario.training.strategy->workers;
  const std::int64_t replicas = scenario.layout.dp / workers;  // of a worker
  std::vector<double> out(static_cast<std::size_t>(workers), 0.0);
  for (std::size_t rank = 0; rank < layout.grid.ranks(); ++rank) {
    const RankId id{static_cast<std::int32_t>(rank)};
    double& worker = out[static_cast<std::size_t>(layout.grid.coordinate(id, Dimension::kData) / replicas)];
    worker = std::max(worker, kind_factor(scenario.gpu_kind(rank)) * variation.slowness_of(id));
  }
  return out;
}

// Of the global batch; equal ones where nothing else is said.
std::vector<double> batch_shares(const UpdateStrategy& strategy, const std::vector<double>& slow) {
  if (!strategy.batch_shares.empty()) {
    return strategy.batch_shares;
  }
  std::vector<double> shares(slow.size(), 1.0);
  if (strategy.splits_by_speed) {
    std::transform(slow.begin(), slow.end(), shares.begin(), [](double factor) { return 1.0 / factor; });
  }
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& share : shares) {
    share /= sum;
  }
  return shares;
}

std::vector<Server> servers_of(const Scenario& scenario, const UpdateStrategy& strategy) {
  std::vector<Server> out;
  for (int worker = 0; worker < strategy.servers; ++worker) {
    out.push_back({.worker = worker});
  }
  out.insert(out.end(), static_cast<std::size_t>(strategy.dedicated_servers), {.nic = server_nic(scenario)});
  return out;
}

// Gradients of 16 bits are sent as they are, which costs no kernel.
void set_compression(const UpdateStrategy& strategy, const Scenario& scenario, UpdateJob& job) {
  job.compression = strategy.compression;
  const Precision gradients = scenario.training.grad_dtype;
  const bool sends_gradients = strategy_of(strategy.mode).contribution == Contribution::kGradients;
  const bool is_narrow = gradients == Precision::kFp16 || gradients == Precision::kBf16;
  if (job.compression.compressor == Compressor::kNone && sends_gradients && is_narrow) {
    job.compression.compressor = gradients == Precision::kFp16 ? Compressor::kFp16 : Compressor::kBf16;
    return;
  }
  if (strategy.feeds_back_as_usual) {
    job.compression.feedback = compressor_traits(job.compression.compressor).usual_feedback;
  }
  if (job.compression.compressor != Compressor::kNone) {
    const ScenarioKernelCosts costs(scenario);
    job.message = message_times(job.compression, matrices_of(job), *costs.by_kind().front());
  }
}

// The flags of `converge` that checks name are the keys of the strategy.
[[noreturn]] void rethrow_with_key(const UserError& error) {
  Fault fault = error.fault();
  if (fault.file.starts_with("--")) {
    fault.pointer = "/training/strategy/" + fault.file.substr(2);
    std::replace(fault.pointer.begin(), fault.pointer.end(), '-', '_');
    fault.file = "scenario";
  }
  throw UserError(std::move(fault), error.code());
}

double samples_of(const UpdateTimes& times, const std::vector<double>& shares, double global_batch) {
  double samples = 0.0;
  for (const Update& update : times.updates) {
    samples += update.steps * shares[static_cast<std::size_t>(update.worker)] * global_batch;
  }
  return samples;
}

// A worker's own parts, as long as the workers compute on average, and what they transfer and wait.
Breakdown breakdown_of(const Breakdown& alone, Seconds iteration, const UpdateTimes& times, Seconds step) {
  Seconds computing{};
  Seconds transferring{};
  for (const WorkerTimes& worker : times.workers) {
    // What a worker goes on with after the last update is nobody's.
    const Seconds busy = worker.computing + worker.transferring;
    const double counted = busy > times.total ? times.total / busy : 1.0;
    computing += worker.computing * counted;
    transferring += worker.transferring * counted;
  }
  const double per_step = step / times.total / static_cast<double>(times.workers.size());
  const double longer = computing * per_step / iteration;
  Breakdown out = alone;
  for (const auto part : kBreakdownParts) {
    out.*part *= longer;
  }
  out.exposed_dp += transferring * per_step;
  constexpr double kRounding = 1e-12;
  const Seconds rest = step - out.total();
  out.bubble += rest > kRounding * step ? rest : Seconds{};
  out.other += rest > kRounding * step ? Seconds{} : rest;
  return out;
}

// Where samples are slower than everything else, they set the pace: of the worker that has most of them.
void wait_for_samples(const Report& alone, const std::vector<double>& shares, Report& report) {
  const double most = *std::max_element(shares.begin(), shares.end()) * static_cast<double>(shares.size());
  const Seconds pace = alone.step * most;
  if (alone.breakdown.input > Seconds{} && pace > report.step) {
    report.breakdown.input += pace - report.step;
    report.step = pace;
  }
}

UpdateSummary summary_of(const UpdateJob& job, const UpdateTimes& times, Seconds alone) {
  UpdateSummary out{.workers = static_cast<std::int64_t>(job.workers.size()),
                    .iteration = alone,
                    .updates_per_second = times.updates_per_second(),
                    .mean_staleness = mean_staleness(times),
                    .staleness = staleness_histogram(times),
                    .dropped = times.dropped};
  for (const std::vector<int>& histogram : staleness_histograms(times)) {
    double sum = 0.0;
    int updates = 0;
    for (std::size_t stale = 0; stale < histogram.size(); ++stale) {
      sum += static_cast<double>(stale) * histogram[stale];
      updates += histogram[stale];
    }
    out.mean_staleness_of.push_back(updates > 0 ? sum / updates : 0.0);
  }
  for (const double use : times.server_use) {
    out.busiest_server = std::max(out.busiest_server, use);
  }
  const std::size_t workers = std::min(times.sent.size(), job.workers.size());
  for (std::size_t worker = 0; worker < workers; ++worker) {
    out.sent = max(out.sent, times.sent[worker] / static_cast<double>(job.updates));
  }
  return out;
}

}  // namespace

UpdateJob update_job_of(const Scenario& scenario, const Report& alone) {
  const UpdateStrategy& strategy = *scenario.training.strategy;
  const Layout layout = make_layout(scenario);
  // Samples are made beside whatever the worker does: what they make it wait is not a part of its iteration.
  const Seconds beside =
      alone.breakdown.input + (update_on_servers(strategy.mode) ? alone.breakdown.optimizer : Seconds{});
  UpdateJob job{.servers = servers_of(scenario, strategy),
                .parameters = pushed_bytes(scenario.model),
                .sharding = strategy.sharding,
                .push_unit = strategy.push,
                .server_memory = kUsualServerMemory,
                .update_traffic = optimizer_traits(scenario.training.optimizer).values_moved(),
                .mode = strategy.mode,
                .backup = strategy.backup,
                .bound = strategy.bound,
                .local_steps = strategy.local_steps,
                .switch_at = strategy.switch_at,
                .updates = strategy.updates,
                .jitter = strategy.jitter,
                .seed = scenario.seed};
  const std::vector<double> slow = slowdowns(scenario, layout, alone.step);
  const std::vector<double> shares = batch_shares(strategy, slow);
  Nic nic = worker_nic(scenario);
  if (strategy.transport == Transport::kGrpc) {
    nic.bandwidth = min(nic.bandwidth, kGrpcChannel * static_cast<double>(job.servers.size()));
  }
  for (std::size_t worker = 0; worker < slow.size(); ++worker) {
    const double samples = shares[worker] * static_cast<double>(slow.size());  // over an equal share
    job.workers.push_back({.compute = (alone.step - beside) * samples, .slowdown = slow[worker], .nic = nic});
  }
  if (scenario.layout.pp == 1) {
    const Scenario worker = worker_alone(scenario, scenario.gpu_kind(0));
    job.layers = worker_layers(worker, make_layout(worker));
  }
  if (strategy.mode == Synchronisation::kFederated) {
    job.federation = {.share = strategy.client_share,
                      .dropout = strategy.dropout,
                      .data = draw_data_sizes(strategy.data_sizes, static_cast<int>(slow.size()), scenario.seed)};
  }
  if (strategy.mode == Synchronisation::kGossip) {
    const auto workers = static_cast<double>(slow.size());
    if (strategy.graph == GraphKind::kComplete && strategy.edges.empty()) {
      require_effort({.events = workers * workers * strategy.updates},
                     {.file = "--graph", .remedy = "choose a sparser graph"});
    }
    job.edges = strategy.edges.empty() ? edges_of(strategy.graph, static_cast<int>(slow.size())) : strategy.edges;
  }
  set_compression(strategy, scenario, job);
  return job;
}

Answer answer(const Scenario& scenario) {
  if (!scenario.training.strategy) {
    return answer_step(scenario);
  }
  const Scenario worker = worker_alone(scenario, scenario.gpu_kind(0));
  const Report alone = answer_step(worker).report;
  try {
    const UpdateJob job = update_job_of(scenario, alone);
    const UpdateTimes times = simulate_updates(job);
    std::vector<double> shares;
    const double all = std::accumulate(job.workers.begin(), job.workers.end(), 0.0,
                                       [](double sum, const Worker& one) { return sum + one.compute.value; });
    for (const Worker& one : job.workers) {
      shares.push_back(one.compute.value / all);
    }
    const auto global_batch = static_cast<double>(scenario.training.global_batch);
    Answer out{.layout = make_layout(scenario), .report = alone};
    Report& report = out.report;
    const double samples = samples_of(times, shares, global_batch);
    if (samples <= 0.0) {
      throw UserError({.file = "--updates",
                       .found = fmt::format("{} updates of {} workers", job.updates, job.workers.size()),
                       .allowed = "as many that something reaches the parameters",
                       .problem = "all that was simulated was lost or dropped",
                       .remedy = "raise training.strategy.updates, or lower dropout"});
    }
    report.step = times.total * (global_batch / samples);
    Breakdown own = alone.breakdown;
    own.input = {};
    own.optimizer = update_on_servers(job.mode) ? Seconds{} : own.optimizer;
    report.breakdown = breakdown_of(own, own.total(), times, report.step);
    wait_for_samples(alone, shares, report);
    set_rates(report, scenario, out.layout);
    report.memory = estimate_memory(scenario, out.layout);
    report.links.clear();
    report.ranks = scenario.gpus;
    report.events += static_cast<std::int64_t>(times.updates.size());
    report.updates = summary_of(job, times, alone.step);
    if (!in_one_node(scenario) && scenario.training.strategy->worker_gpus < scenario.cluster.gpus_per_node) {
      report.notes.push_back(
          fmt::format("workers of a node share its ports, also towards each other; training.strategy.worker_gpus {} "
                      "makes a node one worker",
                      scenario.cluster.gpus_per_node));
    }
    return out;
  } catch (const UserError& error) {
    rethrow_with_key(error);
  }
}

}  // namespace trainyard
