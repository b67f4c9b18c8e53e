#pragma once
// What NCCL's tuner knows when it weighs an algorithm. Source: NCCL 2.30 src/graph/tuning.cc and src/enqueue.cc.
#include "sim/base/work.hpp"
#include "sim/collectives/base/channel_search.hpp"
#include "sim/collectives/base/profile.hpp"

namespace trainyard {

struct TunerInput {
  CollectiveOp op = CollectiveOp::kAllReduce;
  int ranks = 1;
  int nodes = 1;
  ChannelGraphs graphs;
  const CollectiveProfile* profile = nullptr;
  const NcclVersion* version = nullptr;
  bool amd_processor = false;
  bool has_network_reduction = false;  // switches that reduce (SHARP)
};

// Everything a formula of the tuner needs about one algorithm and protocol, in the units of NCCL's tables.
struct TunerCase {
  const TunerInput& input;
  const ArchitectureRates& rates;
  Algorithm algorithm;  // a tuned one
  Protocol protocol;
  Bytes size{};  // as nccl-tests counts it

  double ranks() const { return input.ranks; }
  double nodes() const { return input.nodes; }
  double per_node() const { return static_cast<double>(input.ranks) / input.nodes; }
  // Of a value by nodes: one, two, more.
  std::size_t node_index() const { return input.nodes <= 2 ? static_cast<std::size_t>(input.nodes - 1) : 2; }
  bool reduces_and_gathers() const { return input.op == CollectiveOp::kAllReduce; }
  bool is_chain() const { return input.op == CollectiveOp::kBroadcast || input.op == CollectiveOp::kReduce; }

  // Microseconds: from a table, of a hop inside a node, and of one between nodes.
  double from(const LatencyTable& table) const;
  double base() const { return from(input.version->base); }
  double intra() const { return from(input.graphs.nvlink ? input.version->nvlink_hop : input.version->pci_hop); }
  double inter() const;
  // GB/s: the limit of LL, and what the ring's channels carry.
  double ll_max() const;
  double ring_bus() const;
  // Steps of a ring for this operation, and what turns a bus bandwidth into the algorithm's.
  double ring_steps() const;
  double to_algorithm() const { return ranks() / ring_steps(); }
};

// Channels left after NCCL drops those that a small message cannot fill; a thread of LL should get `ll_bytes`.
int filled_channels(int channels, Protocol protocol, double ll_bytes, Bytes size);

}  // namespace trainyard
