#include "sim/collectives/base/member_groups.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace trainyard {

MemberGroups group_members(std::span<const DeviceId> members, const Fabric& fabric) {
  std::vector<DeviceId> sorted(members.begin(), members.end());
  std::sort(sorted.begin(), sorted.end());
  TY_ASSERT(std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end());
  MemberGroups groups;
  groups.members = sorted.size();
  for (const DeviceId member : sorted) {
    const int node = fabric.node_of(member);
    if (groups.nodes.empty() || groups.nodes.back().node != node) {
      groups.nodes.push_back({.node = node});
    }
    groups.nodes.back().members.push_back(member);
  }
  groups.smallest = sorted.size();
  for (const MemberNode& node : groups.nodes) {
    groups.largest = std::max(groups.largest, node.members.size());
    groups.smallest = std::min(groups.smallest, node.members.size());
  }
  return groups;
}

}  // namespace trainyard
