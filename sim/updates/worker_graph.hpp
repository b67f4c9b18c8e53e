#pragma once
// Who averages with whom in decentralised SGD, and with which weights.
#include <vector>

#include "sim/scenario/synchronisation.hpp"

namespace trainyard {

// Every pair of neighbours once, a < b, in order. Throws UserError for a torus of a prime number of workers.
std::vector<GraphEdge> edges_of(GraphKind kind, int workers);

// Of every worker its neighbours, in order. Throws UserError where an edge joins what does not exist or a worker with
// itself, and where some workers cannot be reached from worker 0: they are named.
std::vector<std::vector<int>> neighbours_of(const std::vector<GraphEdge>& edges, int workers);

// What a worker's mean is made of.
struct MixingWeight {
  int worker = 0;
  double weight = 0.0;
};
// Of every worker: 1 / (1 + the larger number of neighbours of the two) for each neighbour, the rest for itself, which
// comes last: symmetric, and every sum is 1. Source: Xiao, Boyd, Kim, "Distributed average consensus with
// least-mean-square deviation", JPDC 67(1), 2007 (Metropolis-Hastings weights).
std::vector<std::vector<MixingWeight>> mixing_weights(const std::vector<std::vector<int>>& neighbours);

}  // namespace trainyard
