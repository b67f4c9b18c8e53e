#pragma once
// How the members of a group lie over the nodes of the fabric.
#include <span>
#include <vector>

#include "topologies/fabric/fabric.hpp"

namespace trainyard {

struct MemberNode {
  int node = 0;
  std::vector<DeviceId> members;  // by local index
};

// Nodes in ascending order. Rings and trees run over them in this order.
struct MemberGroups {
  std::vector<MemberNode> nodes;
  std::size_t members = 0;
  std::size_t largest = 0;   // members of the fullest node
  std::size_t smallest = 0;  // and of the emptiest: as many rails as can be used on every node
};

MemberGroups group_members(std::span<const DeviceId> members, const Fabric& fabric);

}  // namespace trainyard
