#pragma once
// The PCIe bridges of an NCCL topology file that matter: those with a device below them, a chain counted once.
#include <span>
#include <vector>

#include "topologies/importers/nccl_system.hpp"

namespace trainyard {

struct BridgeTree {
  using Bridge = NcclSystem::Bridge;
  std::vector<Bridge> bridges;  // parents before children
  std::vector<int> number;      // of every bridge of the file: which of these stands for it; -1: none
  int of(int bridge) const { return bridge < 0 ? -1 : number[static_cast<std::size_t>(bridge)]; }
};

// `used` are the bridges that devices hang from (-1: a device at its socket). A bridge that only leads on to the next
// is part of the path to that, as wide as the narrower of the two.
BridgeTree contract_bridges(std::span<const NcclSystem::Bridge> bridges, std::span<const int> used);

}  // namespace trainyard
