#pragma once
#include <cstddef>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

// One worker of a scenario that has a strategy: its GPUs, all of one kind and none slowed down, its replicas and its
// share of the global batch.
Scenario worker_alone(const Scenario& scenario, std::size_t gpu_kind);

}  // namespace trainyard
