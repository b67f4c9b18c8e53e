#pragma once
// Who averages with whom in decentralised SGD, and with which weights.
#include <vector>

#include "sim/base/name_table.hpp"

namespace trainyard {

struct GraphEdge {
  int a = 0;
  int b = 0;
};

enum class GraphKind {
  kRing,
  kTorus,     // rows by columns, as square as the number of workers allows
  kComplete,  // all with all
  // Worker i with i + 1, i + 2, i + 4, ... and, as both ways are used, with i - 1, i - 2, ...
  // Source: Assran et al., "Stochastic gradient push for distributed deep learning", ICML 2019, arXiv 1811.10792.
  kExponential,
};
inline constexpr NameTable<GraphKind, 4> kGraphNames{{{{"ring", GraphKind::kRing},
                                                       {"torus", GraphKind::kTorus},
                                                       {"complete", GraphKind::kComplete},
                                                       {"exponential", GraphKind::kExponential}}}};

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
