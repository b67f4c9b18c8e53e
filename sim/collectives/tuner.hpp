#pragma once
// NCCL's choice of algorithm and protocol: a latency and a bandwidth for each, the smallest time wins.
// Source: NCCL 2.30 src/graph/tuning.cc and src/enqueue.cc.
#include <vector>

#include "sim/base/work.hpp"
#include "sim/collectives/channel_search.hpp"
#include "sim/collectives/profile.hpp"

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

struct Candidate {
  Algorithm algorithm = Algorithm::kRing;
  Protocol protocol = Protocol::kSimple;
  int channels = 0;    // that run
  Seconds latency{};   // of the tuner's model
  Seconds transfer{};  // size over the tuner's bandwidth
  Seconds time() const { return latency + transfer; }
};

// Every algorithm and protocol that NCCL would consider for this operation and size, in table order. `size` as
// nccl-tests counts it.
std::vector<Candidate> tuner_candidates(const TunerInput& input, Bytes size);

// The candidate with the smallest time; ties go to the first, as in NCCL.
Candidate choose(const std::vector<Candidate>& candidates);

// Channels left after NCCL drops those that a small message cannot fill.
int channels_for_size(Algorithm algorithm, Protocol protocol, int channels, int ranks, Bytes size);

}  // namespace trainyard
