#include "sim/collectives/base/tuner_case.hpp"

namespace trainyard {

double TunerCase::from(const LatencyTable& table) const {
  return table[static_cast<std::size_t>(algorithm)][static_cast<std::size_t>(protocol)];
}

// One GPU a node: every algorithm pays the tree's hop.
double TunerCase::inter() const {
  const LatencyTable& hops = input.version->net_hop;
  if (input.nodes > 1 && input.ranks == input.nodes) {
    return hops[static_cast<std::size_t>(Algorithm::kTree)][static_cast<std::size_t>(protocol)];
  }
  return from(hops);
}

double TunerCase::ll_max() const {
  if (input.nodes == 1) {
    return rates.ll_max[0];
  }
  return (input.amd_processor ? input.version->amd_ll_max : input.version->other_ll_max)[node_index()];
}

double TunerCase::ring_bus() const {
  const ChannelGraph& ring = input.graphs.ring;
  return ring.channels * (input.nodes <= 2 ? ring.intra : ring.inter);
}

double TunerCase::ring_steps() const {
  if (reduces_and_gathers()) {
    return 2.0 * (ranks() - 1.0);
  }
  return is_chain() ? ranks() : ranks() - 1.0;
}

int filled_channels(int channels, Protocol protocol, double ll_bytes, Bytes size) {
  // Source: NCCL 2.30 src/enqueue.cc and src/include/comm.h: threads and bytes each thread should get.
  const double threads = protocol == Protocol::kLl128 ? 640.0 : 512.0;
  const double per_thread = protocol == Protocol::kSimple ? 64.0 : (protocol == Protocol::kLl ? ll_bytes : 8.0);
  int used = channels;
  while (used > 1 && size.value < used * threads * per_thread) {
    --used;
  }
  return used;
}

}  // namespace trainyard
