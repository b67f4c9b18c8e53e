#include "sim/scenario/update_strategy_checks.hpp"

#include <fmt/format.h>

#include "sim/scenario/place.hpp"

namespace trainyard {
namespace {

// A worker holds whole models, shared out within it as any job's are.
void check_workers(const Place& place, const Scenario& scenario, const UpdateStrategy& strategy) {
  const Parallelism& layout = scenario.layout;
  if (scenario.model.network && scenario.model.network->has_tables()) {
    place.fail("/training/strategy",
               "all replicas of a job share out the tables of a network, and workers share nothing",
               scenario.model.name, "a model without tables", "leave training.strategy out");
  }
  const std::int64_t stage_ranks = strategy.worker_gpus / layout.pp;
  if (layout.ep * layout.etp > stage_ranks) {
    place.fail("/layout/ep", "experts are shared out within a worker",
               fmt::format("ep {} with {} ranks of a stage in a worker", layout.ep, stage_ranks),
               fmt::format("ep * etp at most {}", stage_ranks), "lower ep, or set training.strategy.worker_gpus");
  }
  const std::int64_t data_ranks = stage_ranks / layout.tp;
  if (scenario.training.data_parallel.strategy == DataParallelName::kHsdp && data_ranks % layout.hsdp_shard != 0) {
    place.fail("/layout/hsdp_shard", "copies of the model are shared out within a worker",
               fmt::format("{} of {} data-parallel ranks in a worker", layout.hsdp_shard, data_ranks),
               fmt::format("a divisor of {}", data_ranks), "lower hsdp_shard, or set training.strategy.worker_gpus");
  }
  const VariationOptions& variation = scenario.variation;
  if (variation.jitters()) {
    place.fail("/variation", "what varies over many updates is the time of an iteration", "jitter of kernels or calls",
               "gpu_spread, slow_nodes, stragglers", "set training.strategy.jitter");
  }
}

void check_strategy(const Place& place, const Scenario& scenario, const UpdateStrategy& strategy) {
  if (update_on_servers(strategy.mode) &&
      optimizer_traits(scenario.training.optimizer).matrices != MatrixUpdate::kNone) {
    place.fail("/training/optimizer", "servers update element by element, and the optimizer works with whole matrices",
               std::string(kOptimizerNames.name_of(scenario.training.optimizer)),
               "adam and others without matrix products, or a mode whose workers update",
               "set training.optimizer, or another mode");
  }
  const bool needs_layers = strategy.push == PushUnit::kPerLayer || strategy.sharding != Sharding::kEven;
  if (needs_layers && scenario.layout.pp > 1) {
    place.fail(strategy.push == PushUnit::kPerLayer ? "/training/strategy/push" : "/training/strategy/sharding",
               "layers of a pipeline's stages are not pushed one by one", fmt::format("pp {}", scenario.layout.pp),
               "pp 1", "push whole and shard evenly, or set layout.pp to 1");
  }
  const bool is_one_bit = strategy.compression.compressor == Compressor::kOneBitAdam;
  if (is_one_bit && scenario.training.optimizer != Optimizer::kAdam) {
    place.fail("/training/strategy/compress", "it is Adam, with its variance frozen after a warm-up",
               std::string(kOptimizerNames.name_of(scenario.training.optimizer)), "with training.optimizer adam",
               "set training.optimizer, or choose another compressor");
  }
  if (strategy.mode == Synchronisation::kFederated && (strategy.splits_by_speed || !strategy.batch_shares.empty())) {
    place.fail("/training/strategy/batch_shares", "the data of a federation's clients are what data_sizes says",
               "batch_shares with federated", "another mode", "set training.strategy.data_sizes");
  }
}

}  // namespace

void check_update_strategy(const Scenario& scenario, const std::string& file) {
  if (scenario.training.strategy) {
    const Place place{file};
    check_workers(place, scenario, *scenario.training.strategy);
    check_strategy(place, scenario, *scenario.training.strategy);
  }
}

}  // namespace trainyard
