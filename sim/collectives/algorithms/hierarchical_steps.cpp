// Two-level and grid algorithms: rings inside groups, then rings across them.
#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"
#include "sim/collectives/algorithms/table.hpp"
#include "sim/collectives/base/member_groups.hpp"

namespace trainyard {
namespace {

using Groups = std::vector<std::vector<DeviceId>>;

// All groups run their ring at the same time; shorter ones end earlier.
void add_ring_pass(std::vector<Round>& rounds, const Groups& groups, Bytes size) {
  std::size_t longest = 0;
  for (const std::vector<DeviceId>& group : groups) {
    longest = std::max(longest, group.size());
  }
  for (std::size_t k = 1; k < longest; ++k) {
    Round round;
    for (const std::vector<DeviceId>& group : groups) {
      for (std::size_t i = 0; i < group.size() && k < group.size(); ++i) {
        round.push_back({group[i], group[(i + 1) % group.size()], size / static_cast<double>(group.size())});
      }
    }
    rounds.push_back(std::move(round));
  }
}

// Reduce-scatter in the inner groups, all-reduce of the shards across, all-gather inside.
std::vector<Round> two_level(CollectiveOp op, Bytes size, const Groups& inner, const Groups& outer) {
  std::vector<Round> rounds;
  const Bytes shard = size / static_cast<double>(inner.front().size());
  if (op != CollectiveOp::kAllGather) {
    add_ring_pass(rounds, inner, size);
    add_ring_pass(rounds, outer, shard);
  }
  if (op != CollectiveOp::kReduceScatter) {
    add_ring_pass(rounds, outer, shard);
    add_ring_pass(rounds, inner, size);
  }
  return rounds;
}

Groups transposed(const Groups& rows) {
  Groups columns(rows.front().size());
  for (const std::vector<DeviceId>& row : rows) {
    for (std::size_t c = 0; c < row.size(); ++c) {
      columns[c].push_back(row[c]);
    }
  }
  return columns;
}

Groups reversed(Groups groups) {
  for (std::vector<DeviceId>& group : groups) {
    std::reverse(group.begin(), group.end());
  }
  return groups;
}

// Round k of both together.
void add_beside(std::vector<Round>& rounds, const std::vector<Round>& more) {
  rounds.resize(std::max(rounds.size(), more.size()));
  for (std::size_t k = 0; k < more.size(); ++k) {
    rounds[k].insert(rounds[k].end(), more[k].begin(), more[k].end());
  }
}

}  // namespace

std::vector<Round> hierarchical_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                      const Fabric& fabric) {
  const MemberGroups groups = group_members(members, fabric);
  if (groups.smallest != groups.largest) {
    return ring_steps(op, size, members, fabric);
  }
  Groups nodes;
  for (const MemberNode& node : groups.nodes) {
    nodes.push_back(node.members);
  }
  return two_level(op, size, nodes, transposed(nodes));
}

std::vector<Round> torus_ring_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                    const Fabric& /*fabric*/) {
  auto width = static_cast<std::size_t>(std::sqrt(static_cast<double>(members.size())));
  while (members.size() % width != 0) {
    --width;
  }
  Groups rows;
  for (std::size_t r = 0; r < members.size() / width; ++r) {
    const auto row = members.subspan(r * width, width);
    rows.emplace_back(row.begin(), row.end());
  }
  const Groups columns = transposed(rows);
  std::vector<Round> rounds;
  for (const bool backwards : {false, true}) {
    const Groups a = backwards ? reversed(rows) : rows;
    const Groups b = backwards ? reversed(columns) : columns;
    add_beside(rounds, two_level(op, size / 4.0, a, b));
    add_beside(rounds, two_level(op, size / 4.0, b, a));
  }
  return rounds;
}

constinit const CollectiveAlgorithm algorithms::kHierarchical{
    .name = Algorithm::kHierarchical,
    .description = "rings inside the nodes, rings over the rails, rings inside again",
    .serves = serves_reductions,
    .expand = hierarchical_steps,
};

constinit const CollectiveAlgorithm algorithms::kTorusRing{
    .name = Algorithm::kTorusRing,
    .description = "rings along both dimensions of a 2-D torus at once, both ways round",
    .serves = serves_reductions,
    .expand = torus_ring_steps,
};

}  // namespace trainyard
