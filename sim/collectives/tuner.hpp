#pragma once
// NCCL's choice of algorithm and protocol: a latency and a bandwidth for each, the smallest time wins.
// Source: NCCL 2.30 src/graph/tuning.cc and src/enqueue.cc.
#include <vector>

#include "sim/collectives/base/tuner_case.hpp"

namespace trainyard {

struct Candidate {
  Algorithm algorithm = Algorithm::kRing;
  Protocol protocol = Protocol::kSimple;
  int channels = 0;    // that run
  Seconds latency{};   // of the tuner's model
  Seconds transfer{};  // size over the tuner's bandwidth
};

// Every algorithm and protocol that NCCL would consider for this operation and size, in table order. `size` as
// nccl-tests counts it.
std::vector<Candidate> tuner_candidates(const TunerInput& input, Bytes size);

}  // namespace trainyard
