#include "validation/microbench/collective_check.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kPeriod = 61;  // of the part that depends on the place; coprime to shares

}  // namespace

bool splits_buffer(CollectiveOp op) {
  return op == CollectiveOp::kAllGather || op == CollectiveOp::kReduceScatter || op == CollectiveOp::kAllToAll ||
         op == CollectiveOp::kAllToAllV || op == CollectiveOp::kGather || op == CollectiveOp::kScatter;
}

float sent_value(int rank, std::size_t element) {
  return static_cast<float>(rank + 1) + static_cast<float>(element % kPeriod);
}

std::size_t received_elements(const CheckedCollective& check) {
  const bool one_share = check.op == CollectiveOp::kReduceScatter || check.op == CollectiveOp::kScatter;
  return one_share ? check.share : check.share * static_cast<std::size_t>(check.ranks);
}

std::optional<float> received_value(const CheckedCollective& check, int rank, std::size_t element) {
  const auto sum = [&](std::size_t at) {
    const auto ranks = static_cast<float>(check.ranks);
    return ranks * (ranks + 1.0F) / 2.0F + ranks * static_cast<float>(at % kPeriod);
  };
  const int chunk = static_cast<int>(element / check.share);
  const std::size_t within = element % check.share;
  const std::size_t mine = static_cast<std::size_t>(rank) * check.share;  // where this rank's share begins elsewhere
  switch (check.op) {
    case CollectiveOp::kAllReduce:
      return sum(element);
    case CollectiveOp::kReduceScatter:
      return sum(mine + element);
    case CollectiveOp::kReduce:
      return rank == 0 ? std::optional(sum(element)) : std::nullopt;
    case CollectiveOp::kBroadcast:
      return sent_value(0, element);
    case CollectiveOp::kScatter:
      return sent_value(0, mine + element);
    case CollectiveOp::kAllGather:
      return sent_value(chunk, within);
    case CollectiveOp::kAllToAll:
    case CollectiveOp::kAllToAllV:
      return sent_value(chunk, mine + within);
    case CollectiveOp::kGather:
      return rank == 0 ? std::optional(sent_value(chunk, within)) : std::nullopt;
    case CollectiveOp::kSendRecv:
      return sent_value((rank + check.ranks - 1) % check.ranks, element);
    case CollectiveOp::kBarrier:
      return std::nullopt;
  }
  return std::nullopt;
}

std::vector<std::size_t> checked_shares() {
  return {1, 3, 1000, 87381};
}

}  // namespace trainyard
