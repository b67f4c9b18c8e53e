#include "sim/program/state_offload.hpp"

#include <algorithm>
#include <vector>

namespace trainyard {
namespace {

// Share of the nominal memory bandwidth that a vectorised, multi-threaded Adam reaches on the host. Source:
// ZeRO-Offload (arXiv 2101.06840), table 4: 10 billion parameters in 2.57 s on a DGX-2, whose two sockets have six
// channels of DDR4-2666 each: 30 bytes per parameter at 117 of 256 GB/s. Its smaller sizes (1 to 8 billion) give 0.39
// to 0.53.
constexpr double kHostAdamEfficiency = 0.46;

}  // namespace

Seconds host_update_time(const Scenario& scenario, const OptimizerShard& shard, double parameters) {
  const auto sharers = static_cast<double>(std::min<std::int64_t>(scenario.gpus, scenario.cluster.gpus_per_node));
  const BytesPerSecond rate = scenario.cluster.node.host_bandwidth * (kHostAdamEfficiency / sharers);
  return update_traffic(scenario, shard) * parameters / rate;
}

OperationId StateOffload::fetch(Bytes size, std::span<const OperationId> after) const {
  std::vector<OperationId> before(after.begin(), after.end());
  if (options().prefetch == CopyAhead::kOff) {
    const std::vector<OperationId>& computed = copies_.builder.frontier();
    before.insert(before.end(), computed.begin(), computed.end());
  }
  return copies_.launch(HostWay::kFromHost, Category::kOffload, "parameters from host", size * options().weights,
                        before);
}

void StateOffload::send_gradients(Bytes size, std::span<const OperationId> after) {
  if (holds_optimizer()) {
    sent_ =
        copies_.launch(HostWay::kToHost, Category::kOffload, "gradients to host", size * options().optimizer, after);
  }
}

void StateOffload::update(const OptimizerShard& shard) {
  if (!holds_optimizer()) {
    return;
  }
  const std::size_t pieces = options().prefetch == CopyAhead::kOn ? pieces_ : 1;
  const double parameters = shard.parameters * options().optimizer / static_cast<double>(pieces);
  const double return_share = 1.0 - options().weights / options().optimizer;
  const std::vector<OperationId> norm_known = copies_.builder.frontier();
  std::optional<OperationId> last;
  for (std::size_t piece = 0; piece < pieces; ++piece) {
    std::vector<OperationId> ready = norm_known;
    ready.push_back(sent_ ? *sent_
                          : copies_.launch(HostWay::kToHost, Category::kOptimizer, "gradients to host",
                                           shard.gradient * parameters, norm_known));
    last = copies_.builder.on_host_processors(StreamName::kHostUpdate, Category::kOptimizer, "host optimizer update",
                                              host_update_time(copies_.scenario, shard, parameters), ready);
    if (return_share > 0.0) {
      last = copies_.launch(HostWay::kFromHost, Category::kOptimizer, "parameters from host",
                            shard.model_copy * (parameters * return_share), {&*last, 1});
    }
  }
  copies_.builder.join(*last);
}

}  // namespace trainyard
