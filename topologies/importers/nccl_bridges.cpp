#include "topologies/importers/nccl_bridges.hpp"

#include <algorithm>

namespace trainyard {

BridgeTree contract_bridges(std::span<const NcclSystem::Bridge> bridges, std::span<const int> used) {
  std::vector<int> below(bridges.size());          // devices and bridges with devices, directly below
  std::vector<int> bridges_below(bridges.size());  // of them, bridges
  for (int bridge : used) {
    for (bool first_use = true; first_use && bridge >= 0;) {
      first_use = below[static_cast<std::size_t>(bridge)]++ == 0;
      const int parent = bridges[static_cast<std::size_t>(bridge)].parent;
      if (first_use && parent >= 0) {
        ++bridges_below[static_cast<std::size_t>(parent)];
      }
      bridge = parent;
    }
  }
  BridgeTree out;
  out.number.assign(bridges.size(), -1);
  for (std::size_t b = 0; b < bridges.size(); ++b) {
    if (below[b] == 0) {
      continue;
    }
    const NcclSystem::Bridge& bridge = bridges[b];
    const auto parent = static_cast<std::size_t>(std::max(0, bridge.parent));
    if (bridge.parent >= 0 && below[parent] == 1 && bridges_below[parent] == 1) {
      out.number[b] = out.number[parent];
      std::optional<BytesPerSecond>& slot = out.bridges[static_cast<std::size_t>(out.number[b])].slot;
      slot = slot && bridge.slot ? min(*slot, *bridge.slot) : slot ? slot : bridge.slot;
      continue;
    }
    out.number[b] = static_cast<int>(out.bridges.size());
    out.bridges.push_back({.cpu = bridge.cpu, .parent = out.of(bridge.parent), .slot = bridge.slot});
  }
  return out;
}

}  // namespace trainyard
