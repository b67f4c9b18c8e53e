#pragma once
// Which bytes an algorithm moves between which members: one file per algorithm, one function each. Flows carry the sum
// over all channels; channels rotate their entry over the members of a node, as NCCL's do, so that rails are loaded
// evenly. The flows of one collective end together.
#include <optional>
#include <span>
#include <vector>

#include "sim/collectives/base/channel_search.hpp"
#include "sim/collectives/base/collective.hpp"
#include "sim/collectives/base/member_groups.hpp"

namespace trainyard {

struct TrafficInput {
  const CollectiveRequest& request;
  const MemberGroups& groups;
  const std::vector<std::vector<int>>& orders;  // rings through the members of a node
  const Fabric& fabric;
};

// Flows with routes and bytes; rate limits are set when the time is known.
std::vector<Flow> ring_traffic(const TrafficInput& input);
// The rings of a torus, along all its dimensions at once; nothing when the fabric or the group is no torus.
std::optional<std::vector<Flow>> torus_traffic(const TrafficInput& input);
std::vector<Flow> tree_traffic(const TrafficInput& input);
std::vector<Flow> nvls_traffic(const TrafficInput& input);
// The part of NVLS inside the nodes.
std::vector<Flow> nvls_traffic_inside(const TrafficInput& input);
enum class InsideNode { kMembers, kSwitch };
std::vector<Flow> network_reduction_traffic(const TrafficInput& input, InsideNode inside);
std::vector<Flow> all_to_all_traffic(const TrafficInput& input);
// The listed transfers of the request, summed over pairs of members of a node and over rails between nodes.
std::vector<Flow> exchange_traffic(const TrafficInput& input);
std::vector<Flow> send_traffic(const TrafficInput& input);
std::vector<Flow> gather_traffic(const TrafficInput& input);

// Bytes that every member of a ring sends to the next; the whole payload for broadcast and reduce.
Bytes ring_volume(const CollectiveRequest& request, std::size_t members);

void add_flow(std::vector<Flow>& flows, const Fabric& fabric, DeviceId from, DeviceId to, Bytes bytes);

// The same share on every rail: member r of each node to member r of the next, around all nodes.
void add_rail_cycle(std::vector<Flow>& flows, const TrafficInput& input, Bytes per_node);

}  // namespace trainyard
