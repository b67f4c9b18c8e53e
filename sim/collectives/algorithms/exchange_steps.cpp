// Pairwise and one-shot exchanges.
#include "sim/collectives/algorithms/table.hpp"

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

constinit const CollectiveAlgorithm algorithms::kPairwise{
    .name = Algorithm::kPairwise,
    .description = "n - 1 rounds, in round k with the member k places on",
    .serves = serves_exchanges,
    .expand = pairwise_steps,
};

constinit const CollectiveAlgorithm algorithms::kDirect{
    .name = Algorithm::kDirect,
    .description = "one shot: everybody sends to everybody at once",
    .serves =
        [](CollectiveOp op, const NcclVersion& /*version*/) {
          return op != CollectiveOp::kSendRecv && op != CollectiveOp::kBarrier;
        },
    .expand = direct_steps,
};

}  // namespace trainyard
