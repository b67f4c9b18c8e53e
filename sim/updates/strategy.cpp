#include "sim/updates/strategy.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>

#include "sim/base/random.hpp"
#include "sim/updates/compressors/demand.hpp"
#include "sim/updates/pushed.hpp"

namespace trainyard {
namespace {

// In the order of Synchronisation.
constexpr std::array<Strategy, kSynchronisationNames.rows.size()> kStrategies = {{
    {Contribution::kGradients, check_servers, simulate_servers, server_events},
    {Contribution::kGradients, check_backup_workers, simulate_servers, server_events},
    {Contribution::kGradients, check_servers, simulate_servers, server_events},
    {Contribution::kGradients, check_stale_synchronous, simulate_servers, server_events},
    {Contribution::kGradients, check_all_reduce, simulate_all_reduce, ring_events},
    {Contribution::kLocalSteps, check_local_steps, simulate_local_steps, ring_events},
    {Contribution::kLocalSteps, check_post_local, simulate_post_local, ring_events},
    {Contribution::kOuterStep, check_local_steps, simulate_local_steps, ring_events},
    {Contribution::kLocalSteps, check_federated, simulate_federated, federated_events},
    {Contribution::kMixing, check_gossip, simulate_gossip, gossip_events},
}};

void check_layers(const UpdateJob& job) {
  double shares = 0.0;
  double ready = 0.0;
  for (const PushedLayer& layer : job.layers) {
    demand(layer.share > 0.0 && layer.ready >= ready && layer.ready <= 1.0, "--model",
           fmt::format("a layer of {} of the parameters at {} of the time", layer.share, layer.ready),
           "more than nothing, in the order of the backward pass", "layers come one after another");
    shares += layer.share;
    ready = layer.ready;
  }
  constexpr double kRounding = 1e-9;
  demand(job.layers.empty() || std::abs(shares - 1.0) <= kRounding, "--model", fmt::format("{}", shares), "1",
         "the layers' shares of the parameters do not sum to one");
  demand(job.layers.empty() || ready == 1.0, "--model", fmt::format("{}", ready), "1",
         "the last gradient is made when the backward pass is over");
  demand(job.server_memory.value > 0.0, "--server-memory", "0 B/s", "more than nothing",
         "a server would never apply anything");
}

}  // namespace

const Strategy& strategy_of(Synchronisation mode) {
  return kStrategies[static_cast<std::size_t>(mode)];
}

void check(const UpdateJob& job) {
  const int workers = static_cast<int>(job.workers.size());
  demand(workers >= 1, "--workers", "0", "1 or more", "nobody computes");
  demand(job.updates >= 1, "--updates", fmt::format("{}", job.updates), "1 or more", "nothing would be simulated");
  demand(job.parameters.value > 0.0, "--parameters", "0 B", "more than nothing", "there is nothing to update");
  demand(job.jitter >= 0.0 && job.jitter <= 10.0, "--jitter", fmt::format("{}", job.jitter), "0 to 10",
         "jitter is the standard deviation of a time as a fraction of its mean");
  for (const Worker& worker : job.workers) {
    demand(worker.nic.bandwidth.value > 0.0, "--bandwidth", "0 B/s", "more than nothing",
           "nothing would arrive at the workers");
    demand(worker.slowdown > 0.0, "--slowdown", fmt::format("{}", worker.slowdown), "more than 0",
           "a worker would take no time");
  }
  check_layers(job);
  check_compression(job);
  strategy_of(job.mode).check(job);
}

Seconds compute_time(const UpdateJob& job, int worker, int iteration) {
  const Worker& one = job.workers[static_cast<std::size_t>(worker)];
  const Draw drawn = Draw(job.seed).of(static_cast<std::uint64_t>(worker)).of(static_cast<std::uint64_t>(iteration));
  return (one.compute + job.clipping) * one.slowdown *
         (job.jitter > 0.0 ? drawn.log_normal(job.jitter * job.jitter) : 1.0);
}

}  // namespace trainyard
