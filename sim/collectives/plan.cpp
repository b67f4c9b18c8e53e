#include "sim/collectives/plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "sim/base/error.hpp"
#include "sim/base/si_prefixes.hpp"
#include "sim/collectives/algorithms/table.hpp"
#include "sim/collectives/base/collective.hpp"
#include "sim/collectives/base/max_min.hpp"
#include "sim/collectives/base/path_latency.hpp"
#include "sim/collectives/base/sends.hpp"
#include "sim/collectives/calibration.hpp"
#include "sim/collectives/footprint.hpp"
#include "sim/collectives/host_copy.hpp"
#include "sim/collectives/steps.hpp"
#include "sim/collectives/tuner.hpp"

namespace trainyard {
namespace {

// Frameworks implement a barrier as an all-reduce of one element.
CollectiveRequest without_barrier(CollectiveRequest request) {
  if (request.op == CollectiveOp::kBarrier) {
    request.op = CollectiveOp::kAllReduce;
    request.size = max(request.size, Bytes{4.0});
  }
  return request;
}

constexpr double kLeastOwnLatency = 0.2;  // of the library's own, however fast the paths

// How fast the nodes of a kind exchange at best: between each other first, then inside.
std::pair<BytesPerSecond, BytesPerSecond> speed_of(const ClusterSpec& kind) {
  const NodeTraits& node = kind.node;
  return {node.nic_bandwidth * node.nics, node.scale_up_link_bandwidth * node.scale_up_links};
}

// The cluster as the library sees it on the members' nodes: where these are of several kinds all keep the pace of the
// slowest.
const ClusterSpec& cluster_of(std::span<const DeviceId> members, const ClusterSpec& cluster, const Fabric& fabric) {
  if (cluster.kinds.empty()) {
    return cluster;
  }
  const ClusterSpec* slowest = nullptr;
  for (const DeviceId member : members) {
    const ClusterSpec& kind = cluster.kind_of_node(fabric.node_of(member));
    slowest = slowest == nullptr || speed_of(kind) < speed_of(*slowest) ? &kind : slowest;
  }
  return *slowest;
}

TunerInput tuner_input(const CollectiveRequest& request, const MemberGroups& groups, const ClusterSpec& cluster,
                       const Fabric& fabric, const CollectiveOptions& options) {
  TunerInput input;
  input.op = request.op;
  input.ranks = static_cast<int>(groups.members);
  input.nodes = static_cast<int>(groups.nodes.size());
  input.profile =
      &collective_profile(cluster.collective_profile, cluster.file, cluster.pointer + "/collective_profile");
  input.version = options.nccl_version.empty() ? &nccl_version(input.profile->nccl, input.profile->name, "/nccl")
                                               : &nccl_version(options.nccl_version, "--nccl-version", "");
  input.amd_processor = cluster.cpu_vendor == "amd";
  input.has_network_reduction = cluster.network_reduction;
  input.graphs = search_channels(groups, cluster, fabric, *input.profile);
  return input;
}

// How often the latency is paid when several calls run as one.
double latency_count(const Candidate& candidate, int calls) {
  const int at_once = row_of(candidate.algorithm).tuner->calls_at_once(candidate.channels);
  return std::ceil(static_cast<double>(calls) / at_once);
}

std::vector<CollectiveEstimate> candidates_of(const CollectiveRequest& request, const MemberGroups& groups,
                                              const ClusterSpec& cluster, const Fabric& fabric, const TunerInput& input,
                                              const CollectiveOptions& options) {
  if (is_point_to_point(request.op)) {
    return {estimate_point_to_point(request, groups, cluster, fabric, *input.profile, options)};
  }
  std::vector<CollectiveEstimate> out;
  const std::vector<std::string>& allowed = cluster.network_protocols;
  for (const Candidate& candidate : tuner_candidates(input, request.size)) {
    const std::string_view protocol = kProtocolNames.name_of(candidate.protocol);
    if (std::find(options.excluded.begin(), options.excluded.end(), candidate.algorithm) != options.excluded.end()) {
      continue;
    }
    if (input.nodes > 1 && !allowed.empty() && std::find(allowed.begin(), allowed.end(), protocol) == allowed.end()) {
      continue;
    }
    out.push_back({.algorithm = candidate.algorithm,
                   .protocol = candidate.protocol,
                   .channels = candidate.channels,
                   .ranks = input.ranks,
                   .nodes = input.nodes,
                   .latency = candidate.latency * latency_count(candidate, request.calls),
                   .transfer = candidate.transfer});
  }
  return out;
}

// What is forced that none of the candidates is.
[[noreturn]] void reject_choice(const CollectiveRequest& request, const MemberGroups& groups,
                                const CollectiveOptions& options, std::string offered, bool protocol_decides) {
  const std::string_view between = options.algorithm && options.protocol ? "/" : "";
  const std::string place =
      groups.nodes.size() == 1 ? std::string("one node") : fmt::format("{} nodes", groups.nodes.size());
  throw UserError(
      {.file = protocol_decides ? "--protocol" : options.algorithm_file,
       .pointer = protocol_decides ? "" : options.algorithm_pointer,
       .found = fmt::format("{}{}{} for {} of {} GPUs on {}", name_of(options.algorithm), between,
                            name_of(options.protocol), kCollectiveOpNames.name_of(request.op), groups.members, place),
       .allowed = std::move(offered),
       .problem = "this cluster, group and operation cannot use that algorithm and protocol",
       .remedy = "leave the choice to the tuner or force one of those it considers"});
}

CollectiveEstimate choose_allowed(const CollectiveRequest& request, const MemberGroups& groups,
                                  const std::vector<CollectiveEstimate>& candidates, const ClusterSpec& cluster,
                                  const CollectiveOptions& options) {
  const CollectiveEstimate* best = nullptr;
  std::string offered;
  bool has_algorithm = false;
  for (const CollectiveEstimate& c : candidates) {
    offered += fmt::format("{}{}/{}", offered.empty() ? "" : ", ", name_of(c.algorithm), name_of(c.protocol));
    const bool allowed = (!options.algorithm || c.algorithm == options.algorithm) &&
                         (!options.protocol || c.protocol == options.protocol);
    has_algorithm = has_algorithm || (options.algorithm && c.algorithm == options.algorithm);
    if (allowed && (best == nullptr || c.latency + c.transfer < best->latency + best->transfer)) {
      best = &c;
    }
  }
  if (best == nullptr && !options.algorithm && !options.protocol) {
    throw UserError({.file = cluster.file,
                     .pointer = cluster.pointer + "/network_protocols",
                     .found = join_names({cluster.network_protocols.begin(), cluster.network_protocols.end()}),
                     .allowed = join_names(kProtocolNames.names()),
                     .problem = "no algorithm that this operation can use runs over a network of these protocols",
                     .remedy = "allow more protocols or algorithms"});
  }
  if (best == nullptr) {
    reject_choice(request, groups, options, std::move(offered),
                  !options.algorithm || (has_algorithm && options.protocol));
  }
  return *best;
}

Seconds path_of(Algorithm algorithm, const CollectiveRequest& request, const MemberGroups& groups, const Fabric& fabric,
                const ChannelGraphs& graphs) {
  const int around = graphs.ring_hops > 0 ? graphs.ring_hops : static_cast<int>(groups.members) - 1;
  return row_of(algorithm).path(
      {.request = request, .groups = groups, .fabric = fabric, .order = graphs.orders.front(), .ring_hops = around});
}

// Rounds know no unequal counts.
bool serves(const CollectiveAlgorithm& algorithm, const CollectiveRequest& request, const NcclVersion& version) {
  return algorithm.serves(request.op, version) && (algorithm.expand == nullptr || request.transfers.empty());
}

// The options for this call: without the forced algorithm where that does not do it and others may.
CollectiveOptions options_for(const CollectiveRequest& request, const TunerInput& input, CollectiveOptions options) {
  if (options.algorithm && options.unserved == Unserved::kOwnChoice &&
      !serves(row_of(*options.algorithm), request, *input.version)) {
    options.algorithm.reset();
  }
  return options;
}

// Algorithms that NCCL does not have, on forcing only: rounds follow one another, so the transfer is the sum of the
// rounds' transfers, and each round costs a hop of the ring in Simple.
CollectivePlan plan_stepped(const CollectiveAlgorithm& algorithm, const CollectiveRequest& request,
                            const Fabric& fabric, const TunerInput& input, const CollectiveOptions& options) {
  const std::string_view name = kAlgorithmNames.name_of(algorithm.name);
  if (!serves(algorithm, request, *input.version)) {
    throw UserError({.file = options.algorithm_file,
                     .pointer = options.algorithm_pointer,
                     .found = std::string(name),
                     .problem = fmt::format("{} does not do {}{}", name, kCollectiveOpNames.name_of(request.op),
                                            request.transfers.empty() ? "" : " of unequal counts"),
                     .remedy = "leave the choice to the tuner or force another algorithm"});
  }
  if (options.channels || options.protocol.value_or(Protocol::kSimple) != Protocol::kSimple) {
    throw UserError(
        {.file = options.channels ? "--channels" : "--protocol",
         .found = options.channels ? fmt::format("{}", *options.channels) : std::string(name_of(options.protocol)),
         .allowed = "protocol Simple on the channels of the ring",
         .problem = fmt::format("{} is expanded into rounds that leave no choice here", name),
         .remedy = "leave it out or force another algorithm"});
  }
  const std::vector<Round> rounds = algorithm.expand(request.op, request.size, request.members, fabric);
  const auto hop = [&](const LatencyTable& table) {
    return table[static_cast<std::size_t>(Algorithm::kRing)][static_cast<std::size_t>(Protocol::kSimple)];
  };
  Seconds latency{hop(input.version->base) * kMicro};
  for (const Round& round : rounds) {
    bool crosses = false;
    std::optional<Seconds> excess;
    for (const StepFlow& step : round) {
      crosses = crosses || fabric.node_of(step.from) != fabric.node_of(step.to);
      const Seconds one = excess_latency(step.from, step.to, fabric);
      excess = excess ? max(*excess, one) : one;
    }
    const LatencyTable& inside = input.graphs.nvlink ? input.version->nvlink_hop : input.version->pci_hop;
    const Seconds own{hop(crosses ? input.version->net_hop : inside) * kMicro};
    latency += max(own + excess.value_or(Seconds{}), own * kLeastOwnLatency);
  }
  CollectivePlan plan{.algorithm = algorithm.name,
                      .protocol = Protocol::kSimple,
                      .channels = input.graphs.ring_executed,
                      .latency = latency};
  const Seconds transfer = steps_time(rounds, fabric, {});
  std::map<std::pair<DeviceId, DeviceId>, Bytes> sums;
  for (const Round& round : rounds) {
    for (const StepFlow& step : round) {
      sums[{step.from, step.to}] += step.bytes;
    }
  }
  for (const auto& [pair, bytes] : sums) {
    add_flow(plan.flows, fabric, pair.first, pair.second, bytes);
  }
  for (Flow& flow : plan.flows) {
    flow.rate_limit = flow.bytes / transfer;
  }
  return plan;
}

CollectivePlan with_footprint(CollectivePlan plan, const CollectiveRequest& request, const MemberGroups& groups,
                              const ClusterSpec& cluster, const Fabric& fabric) {
  plan.sms = held_sms(plan, request, groups, cluster.network_reduction);
  plan.memory_traffic = memory_traffic(plan, request, groups, fabric);
  return plan;
}

const CollectiveCalibration* calibration_of(const ClusterSpec& cluster, const CollectiveOptions& options) {
  if (options.calibration != nullptr) {
    return options.calibration;
  }
  return cluster.collective_calibration.empty() ? nullptr
                                                : &collective_calibration(cluster.collective_calibration, cluster.file,
                                                                          cluster.pointer + "/collective_calibration");
}

}  // namespace

std::vector<CollectiveEstimate> collective_candidates(const CollectiveRequest& request, const ClusterSpec& whole,
                                                      const Fabric& fabric, const CollectiveOptions& options) {
  const CollectiveRequest asked = without_barrier(request);
  if (asked.members.size() < 2 || asked.size.value <= 0.0) {
    return {};
  }
  const ClusterSpec& cluster = cluster_of(asked.members, whole, fabric);
  const MemberGroups groups = group_members(asked.members, fabric);
  return candidates_of(asked, groups, cluster, fabric, tuner_input(asked, groups, cluster, fabric, options), options);
}

CollectiveEstimate estimate_collective(const CollectiveRequest& request, const ClusterSpec& whole, const Fabric& fabric,
                                       const CollectiveOptions& options) {
  const CollectiveRequest asked = without_barrier(request);
  if (asked.members.size() < 2 || asked.size.value <= 0.0) {
    return {};
  }
  const ClusterSpec& cluster = cluster_of(asked.members, whole, fabric);
  const MemberGroups groups = group_members(asked.members, fabric);
  const TunerInput input = tuner_input(asked, groups, cluster, fabric, options);
  CollectiveEstimate chosen =
      choose_allowed(asked, groups, candidates_of(asked, groups, cluster, fabric, input, options), cluster, options);
  chosen.path = path_of(*chosen.algorithm, asked, groups, fabric, input.graphs);
  return chosen;
}

CollectivePlan plan_collective(const CollectiveRequest& request, const ClusterSpec& cluster, const Fabric& fabric) {
  return plan_collective(request, cluster, fabric, {});
}

CollectivePlan plan_collective(const CollectiveRequest& request, const ClusterSpec& whole, const Fabric& fabric,
                               const CollectiveOptions& stated) {
  const CollectiveRequest asked = without_barrier(request);
  if (stated.channels && *stated.channels < 1) {
    throw UserError({.file = "--channels",
                     .found = fmt::format("{}", *stated.channels),
                     .allowed = "1 or more",
                     .problem = "a collective runs on at least one channel"});
  }
  if (asked.host) {
    return plan_host_copy(asked, fabric);
  }
  if (asked.members.size() < 2 || asked.size.value <= 0.0) {
    return {};
  }
  const ClusterSpec& cluster = cluster_of(asked.members, whole, fabric);
  const MemberGroups groups = group_members(asked.members, fabric);
  const TunerInput input = tuner_input(asked, groups, cluster, fabric, stated);
  const CollectiveOptions options = options_for(asked, input, stated);
  if (options.algorithm && row_of(*options.algorithm).expand != nullptr) {
    return with_footprint(plan_stepped(row_of(*options.algorithm), asked, fabric, input, options), asked, groups,
                          cluster, fabric);
  }
  const CollectiveEstimate chosen =
      choose_allowed(asked, groups, candidates_of(asked, groups, cluster, fabric, input, options), cluster, options);
  const CollectiveAlgorithm& row = row_of(*chosen.algorithm);
  const CollectiveCalibration* calibration = calibration_of(cluster, options);
  // All-to-all-v runs on the same kernels as all-to-all.
  const CollectiveOp measured = asked.op == CollectiveOp::kAllToAllV ? CollectiveOp::kAllToAll : asked.op;
  const TimeCurve curve =
      calibration == nullptr ? TimeCurve{} : calibration->find(measured, row.name, *chosen.protocol, chosen.nodes > 1);
  CalibratedTime time = apply_curve(curve, chosen.latency, chosen.transfer, chosen.ranks);
  const Seconds path = path_of(row.name, asked, groups, fabric, input.graphs);
  time.latency = max(time.latency + path, time.latency * kLeastOwnLatency);
  CollectivePlan plan{.algorithm = row.name,
                      .protocol = chosen.protocol,
                      .channels = options.channels.value_or(chosen.channels),
                      .latency = time.latency,
                      .flows = row.traffic({asked, groups, input.graphs.orders, fabric})};
  // Fewer channels than would run carry as much less; more are no faster, as the tuner takes what the links give.
  const double slowdown =
      options.channels ? std::max(1.0, static_cast<double>(chosen.channels) / *options.channels) : 1.0;
  // All flows end together, `transfer` after their start, unless a link is too slow or too long for that.
  Seconds transfer = max(time.transfer * slowdown, window_time(plan, fabric));
  if (groups.nodes.size() > 2 && row.least_transfer != nullptr) {
    transfer = max(transfer, row.least_transfer(plan.flows, groups.nodes.size(), fabric));
  }
  for (Flow& flow : plan.flows) {
    flow.rate_limit = flow.bytes / transfer;
  }
  return with_footprint(std::move(plan), asked, groups, cluster, fabric);
}

}  // namespace trainyard
