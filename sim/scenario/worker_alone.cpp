#include "sim/scenario/worker_alone.hpp"

#include <algorithm>

namespace trainyard {

namespace {

// What the other workers read, on the same node and on all.
void share_storage(const Scenario& scenario, StorageOptions& storage) {
  const UpdateStrategy& strategy = *scenario.training.strategy;
  const std::int64_t of_node = std::min<std::int64_t>(scenario.gpus, scenario.cluster.gpus_per_node);
  if (storage.node_bandwidth && strategy.worker_gpus < of_node) {
    *storage.node_bandwidth *= static_cast<double>(strategy.worker_gpus) / static_cast<double>(of_node);
  }
  if (storage.bandwidth) {
    *storage.bandwidth /= static_cast<double>(strategy.workers);
  }
}

}  // namespace

Scenario worker_alone(const Scenario& scenario, std::size_t gpu_kind) {
  const UpdateStrategy& strategy = *scenario.training.strategy;
  Scenario worker = scenario;
  worker.training.strategy.reset();
  worker.training.global_batch /= strategy.workers;
  worker.layout.dp /= strategy.workers;
  worker.layout.hsdp_shard = std::min(scenario.layout.hsdp_shard, worker.layout.data_ranks());
  worker.gpus = strategy.worker_gpus;
  worker.variation = {};
  if (worker.input) {
    share_storage(scenario, worker.input->storage);
  }
  worker.gpu = scenario.different_gpus()[gpu_kind];
  worker.gpu_kinds.clear();
  worker.gpu_kind_of.clear();
  return worker;
}

}  // namespace trainyard
