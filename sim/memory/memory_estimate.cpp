#include "sim/memory/memory_estimate.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "sim/layout/stage_schedule.hpp"
#include "sim/memory/replay.hpp"
#include "sim/scenario/worker_alone.hpp"

namespace trainyard {

std::size_t MemoryEstimate::fullest() const {
  const auto spare = [](const StageMemory& stage) { return stage.capacity - stage.total; };
  const auto found = std::min_element(stages.begin(), stages.end(),
                                      [&](const StageMemory& a, const StageMemory& b) { return spare(a) < spare(b); });
  return static_cast<std::size_t>(found - stages.begin());
}

namespace {

MemoryEstimate of_stages(std::vector<StageMemory> stages) {
  MemoryEstimate out{.stages = std::move(stages)};
  const StageMemory& fullest = out.stages[out.fullest()];
  out.peak = fullest.total;
  out.capacity = fullest.capacity;
  return out;
}

std::size_t stage_of(const Layout& layout, std::size_t rank) {
  return static_cast<std::size_t>(layout.grid.coordinate(RankId::from(rank), Dimension::kPipeline));
}

}  // namespace

MemoryEstimate make_estimate(std::vector<StageMemory> stages, Bytes capacity) {
  for (StageMemory& stage : stages) {
    stage.capacity = capacity;
  }
  return of_stages(std::move(stages));
}

MemoryEstimate make_estimate(std::vector<StageMemory> stages, const Scenario& scenario, const Layout& layout) {
  Bytes largest{};
  for (const GpuSpec& gpu : scenario.different_gpus()) {
    largest = max(largest, gpu.memory);
  }
  for (StageMemory& stage : stages) {
    stage.capacity = largest;
  }
  for (std::size_t rank = 0; rank < scenario.gpu_kind_of.size(); ++rank) {
    Bytes& capacity = stages[stage_of(layout, rank)].capacity;
    capacity = min(capacity, scenario.gpu_kinds[scenario.gpu_kind(rank)].memory);
  }
  MemoryEstimate out = of_stages(std::move(stages));
  if (!scenario.training.offload.any() && !scenario.input) {
    return out;
  }
  out.host_capacity = scenario.cluster.node.host_memory;
  const auto of_node = static_cast<std::size_t>(std::max(1, scenario.cluster.gpus_per_node));
  Bytes node{};
  for (std::size_t rank = 0; rank < layout.grid.ranks(); ++rank) {
    node = rank % of_node == 0 ? Bytes{} : node;
    node += out.stages[stage_of(layout, rank)].host.total();
    out.host_peak = max(out.host_peak, node);
  }
  return out;
}

namespace {

// Of the workers of a strategy, on the kind of GPU that is nearest to full.
MemoryEstimate memory_of_worker(const Scenario& scenario) {
  std::optional<MemoryEstimate> fullest;
  for (std::size_t kind = 0; kind < scenario.different_gpus().size(); ++kind) {
    Scenario worker = worker_alone(scenario, kind);
    if (update_on_servers(scenario.training.strategy->mode)) {
      worker.training.optimizer = Optimizer::kPlainSgd;  // servers update, and keep what that needs
    }
    MemoryEstimate memory = estimate_memory(worker, make_layout(worker));
    if (!fullest || memory.capacity - memory.peak < fullest->capacity - fullest->peak) {
      fullest = std::move(memory);
    }
  }
  return *fullest;
}

}  // namespace

MemoryEstimate estimate_memory(const Scenario& scenario, const Layout& layout) {
  if (scenario.training.strategy) {
    return memory_of_worker(scenario);
  }
  const std::vector<PassOrder> orders = pass_orders(scenario);
  std::vector<StageMemory> stages;
  for (std::size_t stage = 0; stage < layout.stages.size(); ++stage) {
    const StageHoldings holdings = stage_holdings(scenario, layout, stage);
    MemoryMeter meter(holdings);
    replay(orders[stage], meter);
    meter.begin_update();
    stages.push_back(meter.peak());
  }
  return make_estimate(std::move(stages), scenario, layout);
}

}  // namespace trainyard
