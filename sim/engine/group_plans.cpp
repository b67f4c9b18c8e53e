#include "sim/engine/group_plans.hpp"

#include <algorithm>
#include <limits>
#include <span>
#include <tuple>
#include <variant>

#include "sim/collectives/base/max_min.hpp"

namespace trainyard {
namespace {

// What distinguishes the insides of nodes: the links that leave their vertices, in order. Equal numbers, equal nodes.
std::vector<std::int32_t> node_kinds(const Fabric& fabric) {
  using Part = std::tuple<std::int32_t, std::int32_t, std::int32_t, double, double>;
  std::vector<std::vector<Part>> inside;
  for (const Link& link : fabric.links()) {
    const Vertex& from = fabric.vertex(link.from);
    const Vertex& to = fabric.vertex(link.to);
    const int node = std::max(from.node, to.node);
    if (node < 0) {
      continue;
    }
    inside.resize(std::max(inside.size(), static_cast<std::size_t>(node) + 1));
    const auto place = [](const Vertex& vertex) {
      return vertex.node < 0 ? -1 : static_cast<std::int32_t>(vertex.kind) * 1024 + vertex.index;
    };
    inside[static_cast<std::size_t>(node)].emplace_back(place(from), place(to), static_cast<std::int32_t>(link.kind),
                                                        link.bandwidth.value, link.latency.value);
  }
  // Equal links may join different machines, of which a library knows different things.
  if (const auto* routing = std::get_if<NodeRouting>(&fabric.routing())) {
    for (std::size_t node = 0; node < std::min(inside.size(), routing->nodes.size()); ++node) {
      inside[node].emplace_back(routing->nodes[node].paths, 0, 0, 0.0, 0.0);
    }
  }
  std::map<std::vector<Part>, std::int32_t> kinds;
  std::vector<std::int32_t> out;
  for (std::vector<Part>& parts : inside) {
    out.push_back(kinds.try_emplace(std::move(parts), static_cast<std::int32_t>(kinds.size())).first->second);
  }
  return out;
}

// What a call reads and writes per second on every member when no link slows it down. Congestion stretches the same
// bytes over more time: then this is too much.
BytesPerSecond memory_rate(const CollectivePlan& plan) {
  Seconds transfer{};
  for (const Flow& flow : plan.flows) {
    if (flow.rate_limit.value > 0.0) {
      transfer = max(transfer, flow.bytes / flow.rate_limit);
    }
  }
  return transfer.value > 0.0 ? plan.memory_traffic / (plan.latency + transfer) : BytesPerSecond{};
}

CollectivePlan price(const Communication& communication, std::span<const DeviceId> members, const NetworkCosts& costs) {
  std::vector<Transfer> transfers;
  transfers.reserve(communication.transfers.size());
  for (const MemberTransfer& one : communication.transfers) {
    transfers.push_back({.from = members[static_cast<std::size_t>(one.from)],
                         .to = members[static_cast<std::size_t>(one.to)],
                         .bytes = one.bytes});
  }
  return costs.plan({.op = communication.op,
                     .size = communication.size,
                     .members = members,
                     .transfers = transfers,
                     .host = communication.host});
}

GroupPlan by_positions(const CollectivePlan& plan, const std::vector<DeviceId>& members) {
  std::vector<std::pair<DeviceId, std::int32_t>> position;
  for (const DeviceId member : members) {
    position.emplace_back(member, static_cast<std::int32_t>(position.size()));
  }
  std::sort(position.begin(), position.end());
  const auto position_of = [&](DeviceId device) {
    return std::lower_bound(position.begin(), position.end(), std::pair{device, std::int32_t{0}})->second;
  };
  GroupPlan out{.latency = plan.latency, .multiprocessors = plan.sms, .memory_rate = memory_rate(plan)};
  out.edges.reserve(plan.flows.size());
  for (const Flow& flow : plan.flows) {
    out.edges.push_back({.from = position_of(flow.from),
                         .to = position_of(flow.to),
                         .bytes = flow.bytes,
                         .rate_limit = flow.rate_limit});
  }
  return out;
}

}  // namespace

GroupPlanner::GroupPlanner(const Fabric& fabric, const NetworkCosts& costs, TimeAlone alone)
    : fabric_(fabric), costs_(costs), alone_(alone), kinds_(node_kinds(fabric)) {}

const GroupPlan& GroupPlanner::plan(const Communication& communication, const std::vector<DeviceId>& members) {
  shape_.clear();
  const int first_node = fabric_.node_of(members.front());
  DeviceId before;
  for (const DeviceId member : members) {
    const int node = fabric_.node_of(member);
    const auto kind = static_cast<std::size_t>(node) < kinds_.size() ? kinds_[static_cast<std::size_t>(node)] : -1;
    shape_.insert(shape_.end(), {static_cast<double>(node - first_node),
                                 static_cast<double>(fabric_.local_index(member)), static_cast<double>(kind)});
    if (before.valid() && fabric_.node_of(before) != node) {
      add_way(before, member);
    }
    before = member;
  }
  const auto [entry, is_new] = known_.try_emplace(shape_);
  if (is_new) {
    const CollectivePlan plan = price(communication, members, costs_);
    entry->second = by_positions(plan, members);
    if (alone_ == TimeAlone::kAsked) {
      for (const Seconds end : flow_ends(plan.flows, fabric_)) {
        entry->second.alone = max(entry->second.alone, end);
      }
    }
  }
  return entry->second;
}

// How far and how wide it is from one node to the next: fabrics differ between nodes too.
void GroupPlanner::add_way(DeviceId from, DeviceId to) {
  double narrowest = std::numeric_limits<double>::infinity();
  double latency = 0.0;
  const std::vector<LinkId> route = fabric_.route(from, to);
  for (const LinkId link : route) {
    narrowest = std::min(narrowest, fabric_.link(link).bandwidth.value);
    latency += fabric_.link(link).latency.value;
  }
  shape_.insert(shape_.end(), {static_cast<double>(route.size()), narrowest, latency});
}

}  // namespace trainyard
