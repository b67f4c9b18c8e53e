#include "sim/scenario/worker_alone.hpp"

#include <algorithm>

namespace trainyard {

Scenario worker_alone(const Scenario& scenario, std::size_t gpu_kind) {
  const UpdateStrategy& strategy = *scenario.training.strategy;
  Scenario worker = scenario;
  worker.training.strategy.reset();
  worker.training.global_batch /= strategy.workers;
  worker.layout.dp /= strategy.workers;
  worker.layout.hsdp_shard = std::min(scenario.layout.hsdp_shard, worker.layout.data_ranks());
  worker.gpus = strategy.worker_gpus;
  worker.variation = {};
  worker.gpu = scenario.different_gpus()[gpu_kind];
  worker.gpu_kinds.clear();
  worker.gpu_kind_of.clear();
  return worker;
}

}  // namespace trainyard
