#include "sim/program/input_times.hpp"

#include <algorithm>
#include <set>

#include "topologies/cluster.hpp"

namespace trainyard {
namespace {

// Of how many replicas samples are read.
struct Readers {
  std::size_t of_fullest_node = 0;
  std::size_t of_all_nodes = 0;  // a replica that spans nodes is read for on each
};

Readers readers_of(const Scenario& scenario, const Layout& layout) {
  Readers out;
  std::size_t rank = 0;
  for (const NodeInUse& node : nodes_in_use(scenario.cluster, static_cast<int>(scenario.gpus))) {
    std::set<std::int64_t> replicas;
    for (int gpu = 0; gpu < node.gpus; ++gpu, ++rank) {
      const RankId id = RankId::from(rank);
      const auto stage = static_cast<std::size_t>(layout.grid.coordinate(id, Dimension::kPipeline));
      if (layout.stages[stage].reads_samples()) {
        replicas.insert(layout.grid.coordinate(id, Dimension::kData));
      }
    }
    out.of_fullest_node = std::max(out.of_fullest_node, replicas.size());
    out.of_all_nodes += replicas.size();
  }
  return out;
}

}  // namespace

InputTimes input_times(const Scenario& scenario, const Layout& layout) {
  const InputOptions& input = *scenario.input;
  const StorageOptions& storage = input.storage;
  const auto samples = static_cast<double>(scenario.training.micro_batch);
  const Bytes batch = input.sample * samples;
  const Readers readers = readers_of(scenario, layout);
  InputTimes out;
  out.latency = storage.latency * (samples / static_cast<double>(storage.requests));
  if (storage.node_bandwidth) {
    out.of_node = batch * static_cast<double>(readers.of_fullest_node) / *storage.node_bandwidth;
  }
  if (storage.bandwidth) {
    out.of_all = batch * static_cast<double>(readers.of_all_nodes) / *storage.bandwidth;
  }
  out.decode = input.decode * (samples / static_cast<double>(input.workers));
  return out;
}

}  // namespace trainyard
