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
      if (reads_samples(layout.stages[static_cast<std::size_t>(layout.grid.coordinate(id, Dimension::kPipeline))])) {
        replicas.insert(layout.grid.coordinate(id, Dimension::kData));
      }
    }
    out.of_fullest_node = std::max(out.of_fullest_node, replicas.size());
    out.of_all_nodes += replicas.size();
  }
  return out;
}

}  // namespace

bool reads_samples(const Stage& stage) {
  return std::any_of(stage.chunks.begin(), stage.chunks.end(),
                     [](const Chunk& chunk) { return chunk.embedding == Holds::kYes || chunk.head == Holds::kYes; });
}

InputTimes input_times(const Scenario& scenario, const Layout& layout) {
  const InputOptions& input = *scenario.input;
  const StorageOptions& storage = input.storage;
  const auto samples = static_cast<double>(scenario.training.micro_batch);
  const Bytes batch = input.sample * samples;
  const Readers readers = readers_of(scenario, layout);
  InputTimes out;
  out.read = storage.latency * (samples / static_cast<double>(storage.requests));
  if (storage.node_bandwidth) {
    out.read = max(out.read, batch * static_cast<double>(readers.of_fullest_node) / *storage.node_bandwidth);
  }
  if (storage.bandwidth) {
    out.read = max(out.read, batch * static_cast<double>(readers.of_all_nodes) / *storage.bandwidth);
  }
  out.decode = input.decode * (samples / static_cast<double>(input.workers));
  return out;
}

}  // namespace trainyard
