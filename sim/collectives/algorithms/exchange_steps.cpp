// Pairwise and one-shot exchanges.
#include "sim/base/error.hpp"
#include "sim/collectives/algorithms/expansions.hpp"

namespace trainyard {

std::vector<Round> pairwise_steps(CollectiveOp /*op*/, Bytes size, std::span<const DeviceId> members,
                                  const Fabric& /*fabric*/) {
  const std::size_t n = members.size();
  std::vector<Round> rounds;
  for (std::size_t k = 1; k < n; ++k) {
    Round round;
    for (std::size_t i = 0; i < n; ++i) {
      round.push_back({members[i], members[(i + k) % n], size / static_cast<double>(n)});
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

// All-reduce in one shot sends the whole payload to everybody; the other operations send each member its part.
std::vector<Round> direct_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                const Fabric& /*fabric*/) {
  const std::size_t n = members.size();
  const Bytes part = size / static_cast<double>(n);
  Round round;
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) {
        continue;
      }
      const bool to_root = op == CollectiveOp::kReduce || op == CollectiveOp::kGather;
      const bool from_root = op == CollectiveOp::kBroadcast || op == CollectiveOp::kScatter;
      if ((to_root && j != 0) || (from_root && i != 0)) {
        continue;
      }
      const bool whole =
          op == CollectiveOp::kAllReduce || op == CollectiveOp::kReduce || op == CollectiveOp::kBroadcast;
      round.push_back({members[i], members[j], whole ? size : part});
    }
  }
  return {std::move(round)};
}

}  // namespace trainyard
