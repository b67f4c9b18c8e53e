#pragma once
// One row for each collective algorithm: who may use it, what NCCL's tuner makes of it, what it puts on the fabric and
// what it takes from its members. Every row stands in the file of its algorithm.
#include <span>
#include <string_view>
#include <vector>

#include "sim/collectives/algorithms/expansions.hpp"
#include "sim/collectives/algorithms/traffic.hpp"
#include "sim/collectives/base/path_latency.hpp"
#include "sim/collectives/base/tuner_case.hpp"

namespace trainyard {

enum class Protocols { kSimple, kAll };

// NCCL's model of one of its algorithms. Source: NCCL 2.30 src/graph/tuning.cc and src/enqueue.cc.
struct TunerModel {
  bool (*fits)(const TunerInput& input);  // the group, the fabric and the hardware; the operation is served
  Protocols protocols = Protocols::kSimple;
  double (*latency)(const TunerCase& c);    // microseconds
  double (*bandwidth)(const TunerCase& c);  // the algorithm's, in GB/s; 0 where the combination does not exist
  int (*channels)(const TunerCase& c);      // that run
  int (*calls_at_once)(int channels);       // of calls that run as one: how many pay one latency
};

// Members in the order the algorithm numbers them. Rooted operations have their root first.
using ExpandSteps = std::vector<Round> (*)(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                           const Fabric& fabric);

enum class Reducer { kMembers, kSwitch };  // who adds up inside a node

struct CollectiveAlgorithm {
  Algorithm name;
  std::string_view description;
  bool (*serves)(CollectiveOp op, const NcclVersion& version);
  const TunerModel* tuner = nullptr;  // absent: the tuner does not weigh it
  // Fluid: its flows with routes and bytes, without rate limits, and what the paths of the fabric add to its latency.
  std::vector<Flow> (*traffic)(const TrafficInput& input) = nullptr;
  Seconds (*path)(const PathInput& input) = nullptr;
  // The least time of the flows over more than two nodes; absent: what the links say.
  Seconds (*least_transfer)(std::span<const Flow> flows, std::size_t nodes, const Fabric& fabric) = nullptr;
  Reducer reducer = Reducer::kMembers;
  double user_passes = 1.0;      // how often a byte that passes from member to member meets the users' buffers
  ExpandSteps expand = nullptr;  // round by round: of those that run when forced, in place of what is fluid
};

// Operations that rows have in common.
bool serves_all_reduce(CollectiveOp op, const NcclVersion& version);
bool serves_gathers(CollectiveOp op, const NcclVersion& version);     // all-gather, reduce-scatter
bool serves_reductions(CollectiveOp op, const NcclVersion& version);  // both of the above
bool serves_exchanges(CollectiveOp op, const NcclVersion& version);   // all-gather, all-to-all

// Channels of those that run on the ring's, and how many calls share a batch of work. Source: NCCL 2.30 src/enqueue.cc
// and src/tuning/tuning_general.cc: batches of 10 calls, whose chunks are pipelined (1024 bytes of work descriptions,
// 96 each, src/include/device.h).
int ring_channels(const TunerCase& c);
int calls_of_a_batch(int channels);

namespace algorithms {
extern const CollectiveAlgorithm kRing;
extern const CollectiveAlgorithm kTree;
extern const CollectiveAlgorithm kCollNetDirect;
extern const CollectiveAlgorithm kCollNetChain;
extern const CollectiveAlgorithm kNvls;
extern const CollectiveAlgorithm kNvlsTree;
extern const CollectiveAlgorithm kPat;
extern const CollectiveAlgorithm kPointToPoint;
extern const CollectiveAlgorithm kHalvingDoubling;
extern const CollectiveAlgorithm kRecursiveDoubling;
extern const CollectiveAlgorithm kBruck;
extern const CollectiveAlgorithm kPairwise;
extern const CollectiveAlgorithm kDirect;
extern const CollectiveAlgorithm kHierarchical;
extern const CollectiveAlgorithm kTorusRing;
}  // namespace algorithms

// All of them, in the order of their names.
std::span<const CollectiveAlgorithm* const> collective_algorithms();
const CollectiveAlgorithm& row_of(Algorithm algorithm);

}  // namespace trainyard
