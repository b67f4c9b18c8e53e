#pragma once
// Collectives round by round: what every member sends in each step of an algorithm. The oracle of the fluid form, the
// form of algorithms that NCCL does not have, and a picture for teaching.
#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "sim/collectives/algorithms/expansions.hpp"

namespace trainyard {

// Members in the order the algorithm numbers them. Rooted operations have their root first.
using ExpandSteps = std::vector<Round> (*)(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                           const Fabric& fabric);

struct SteppedAlgorithm {
  std::string_view name;
  std::string_view description;
  bool (*serves)(CollectiveOp op);
  ExpandSteps expand;
};

bool serves_reductions(CollectiveOp op);  // all-reduce, all-gather, reduce-scatter
bool serves_all_reduce(CollectiveOp op);
bool serves_exchanges(CollectiveOp op);  // all-gather, all-to-all
bool serves_all(CollectiveOp op);

inline constexpr std::array<SteppedAlgorithm, 7> kSteppedAlgorithms{{
    {"halving_doubling", "log2 n exchanges of halving size, then of doubling size (Rabenseifner)", serves_reductions,
     halving_doubling_steps},
    {"recursive_doubling", "log2 n exchanges of the whole payload: fewest rounds, most bytes", serves_reductions,
     recursive_doubling_steps},
    {"bruck", "ceil(log2 n) rounds for any n; all-gather and all-to-all", serves_exchanges, bruck_steps},
    {"pairwise", "n - 1 rounds, in round k with the member k places on", serves_exchanges, pairwise_steps},
    {"direct", "one shot: everybody sends to everybody at once", serves_all, direct_steps},
    {"hierarchical", "rings inside the nodes, rings over the rails, rings inside again", serves_reductions,
     hierarchical_steps},
    {"torus_ring", "rings along both dimensions of a 2-D torus at once, both ways round", serves_reductions,
     torus_ring_steps},
}};
const SteppedAlgorithm* find_stepped_algorithm(std::string_view name);

// Sum over the rounds of `per_round` and the time the round's flows take on an idle fabric.
Seconds steps_time(std::span<const Round> rounds, const Fabric& fabric, Seconds per_round);

}  // namespace trainyard
