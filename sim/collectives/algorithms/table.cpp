#include "sim/collectives/algorithms/table.hpp"

#include <array>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr std::array<const CollectiveAlgorithm*, kAlgorithms> kRows = {
    &algorithms::kRing,
    &algorithms::kTree,
    &algorithms::kCollNetDirect,
    &algorithms::kCollNetChain,
    &algorithms::kNvls,
    &algorithms::kNvlsTree,
    &algorithms::kPat,
    &algorithms::kPointToPoint,
    &algorithms::kHalvingDoubling,
    &algorithms::kRecursiveDoubling,
    &algorithms::kBruck,
    &algorithms::kPairwise,
    &algorithms::kDirect,
    &algorithms::kHierarchical,
    &algorithms::kTorusRing,
};

}  // namespace

bool serves_all_reduce(CollectiveOp op, const NcclVersion& /*version*/) {
  return op == CollectiveOp::kAllReduce;
}

bool serves_gathers(CollectiveOp op, const NcclVersion& /*version*/) {
  return op == CollectiveOp::kAllGather || op == CollectiveOp::kReduceScatter;
}

bool serves_reductions(CollectiveOp op, const NcclVersion& version) {
  return serves_all_reduce(op, version) || serves_gathers(op, version);
}

bool serves_exchanges(CollectiveOp op, const NcclVersion& /*version*/) {
  return op == CollectiveOp::kAllGather || op == CollectiveOp::kAllToAll;
}

int ring_channels(const TunerCase& c) {
  constexpr double kLlBytes = 8.0;
  return filled_channels(c.input.graphs.ring_executed, c.protocol, kLlBytes, c.size);
}

int calls_of_a_batch(int /*channels*/) {
  return 10;
}

std::span<const CollectiveAlgorithm* const> collective_algorithms() {
  return kRows;
}

const CollectiveAlgorithm& row_of(Algorithm algorithm) {
  const CollectiveAlgorithm& row = *kRows.at(static_cast<std::size_t>(algorithm));
  TY_ASSERT(row.name == algorithm);
  return row;
}

}  // namespace trainyard
