#pragma once
// Algorithms round by round, one family a file. Members are in the order the algorithm numbers them; rooted operations
// have their root first.
#include <span>
#include <vector>

#include "sim/base/work.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

struct StepFlow {
  DeviceId from;
  DeviceId to;
  Bytes bytes{};
};

// Rounds follow one another; within a round all flows run together and the round ends with the last.
using Round = std::vector<StepFlow>;

// Rings: n - 1 rounds of size / n for each pass. A pipelined chain or tree is expanded into `kChainChunks` chunks.
inline constexpr int kChainChunks = 256;
// A tree fills twice its depth: finer chunks keep that below one in a hundred up to a few hundred members.
inline constexpr int kTreeChunks = 1024;
std::vector<Round> ring_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members, const Fabric& fabric);
// Binary tree over the members, chunks flowing up and then down, every level busy with another chunk.
std::vector<Round> tree_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members, const Fabric& fabric);
// Reduce-scatter by halving distance and size, all-gather by doubling them (Rabenseifner 2004); powers of two.
std::vector<Round> halving_doubling_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                          const Fabric& fabric);
// The whole payload with a partner at distance 1, 2, 4, ...; powers of two.
std::vector<Round> recursive_doubling_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                            const Fabric& fabric);
// Bruck et al. 1997: ceil(log2 n) rounds for any n, at the price of more bytes in all-to-all.
std::vector<Round> bruck_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members, const Fabric& fabric);
// Round k: exchange with the member k places on.
std::vector<Round> pairwise_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members, const Fabric& fabric);
// Everybody sends to everybody at once (one-shot).
std::vector<Round> direct_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members, const Fabric& fabric);
// Inside the nodes, then rail by rail between them, then inside again.
std::vector<Round> hierarchical_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                      const Fabric& fabric);
// The squarest grid, its shorter side first as in the torus generator. A quarter of the payload each: rings along the
// rows and then the columns, the columns and then the rows, and both backwards, so that all four links of a member are
// busy in every round.
std::vector<Round> torus_ring_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                    const Fabric& fabric);

}  // namespace trainyard
