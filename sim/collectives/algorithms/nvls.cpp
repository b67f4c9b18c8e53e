// NVLS: switches reduce and multicast. For all-reduce a member sends its payload once and receives the result once;
// all-gather sends its own share once and receives everything, reduce-scatter the other way round. Between nodes every
// member is the head of 1/g of the payload, which trees reduce over its rail (NVLSTree).
#include "sim/collectives/algorithms/nvls.hpp"

#include <algorithm>

#include "sim/base/error.hpp"

namespace trainyard {

std::vector<Flow> nvls_traffic_inside(const TrafficInput& input) {
  std::vector<Flow> flows;
  flows.reserve(3 * input.groups.members);
  const double n = static_cast<double>(input.groups.members);
  double sent = 1.0;
  double received = 1.0;
  if (input.request.op == CollectiveOp::kAllGather) {
    sent = 1.0 / n;
    received = (n - 1.0) / n;
  } else if (input.request.op == CollectiveOp::kReduceScatter) {
    sent = (n - 1.0) / n;
    received = 1.0 / n;
  }
  for (const MemberNode& node : input.groups.nodes) {
    for (std::size_t m = 0; m < node.members.size(); ++m) {
      const DeviceId from = node.members[m];
      const DeviceId to = node.members[(m + 1) % node.members.size()];
      const std::vector<LinkId> route = input.fabric.route(from, to);
      TY_ASSERT(route.size() == 2);  // up to the switch, down from it
      flows.push_back({.from = from, .to = to, .route = {route[0]}, .bytes = input.request.size * sent});
      flows.push_back({.from = from, .to = to, .route = {route[1]}, .bytes = input.request.size * received});
    }
  }
  return flows;
}

double nvls_bandwidth(const TunerCase& c, double between) {
  const ChannelGraph& graph = c.input.graphs.nvls;
  const double heads = graph.channels;
  const double share = c.reduces_and_gathers() ? 2.0 : (c.per_node() - 1.0) / c.per_node();
  const double each = graph.intra * c.rates.nvls_efficiency * (heads - 1.0) / heads * share;
  return heads * (c.input.nodes > 1 ? std::min(each, between) : each);
}

int nvls_channels(const TunerCase& c) {
  return c.input.profile->nvls_channels[c.input.nodes > 1 ? 1 : 0];
}

std::vector<Flow> nvls_traffic(const TrafficInput& input) {
  std::vector<Flow> flows = nvls_traffic_inside(input);
  const double nodes = static_cast<double>(input.groups.nodes.size());
  const double passes = input.request.op == CollectiveOp::kAllReduce ? 2.0 : 1.0;
  add_rail_cycle(flows, input, input.request.size * (passes * (nodes - 1.0) / nodes));
  return flows;
}

namespace {

bool serves_nvls(CollectiveOp op, const NcclVersion& version) {
  return serves_all_reduce(op, version) || (version.nvls_gathers && serves_gathers(op, version));
}

std::vector<Flow> traffic_by_nodes(const TrafficInput& input) {
  return input.groups.nodes.size() > 1 ? network_reduction_traffic(input, InsideNode::kSwitch) : nvls_traffic(input);
}

constexpr TunerModel kNvlsModel{
    .fits =
        [](const TunerInput& input) {
          return input.graphs.nvls.channels >= 2 && (input.nodes == 1 || input.has_network_reduction);
        },
    .latency = [](const TunerCase& c) { return c.intra() + (c.input.nodes > 1 ? c.inter() : 0.0); },
    .bandwidth = [](const TunerCase& c) { return nvls_bandwidth(c, c.input.graphs.nvls.inter) * c.to_algorithm(); },
    .channels = nvls_channels,
    .calls_at_once = calls_of_a_batch,
};

}  // namespace

constinit const CollectiveAlgorithm algorithms::kNvls{
    .name = Algorithm::kNvls,
    .description = "the node's NVSwitch reduces and multicasts (NVLink SHARP); beyond a node with a reducing network",
    .serves = serves_nvls,
    .tuner = &kNvlsModel,
    .traffic = traffic_by_nodes,
    .path = path_over_switch,
    .reducer = Reducer::kSwitch,
};

}  // namespace trainyard
