// Algorithms whose distance between partners doubles: few rounds, for small messages and many members.
#include <algorithm>
#include <bit>

#include "sim/base/error.hpp"
#include "sim/collectives/algorithms/table.hpp"

namespace trainyard {
namespace {

// Members beyond the largest power of two fold into a partner first and get the result from it last.
struct PowerOfTwo {
  std::size_t core = 1;
  explicit PowerOfTwo(std::size_t members) : core(std::bit_floor(members)) {}
};

void fold(std::vector<Round>& rounds, std::span<const DeviceId> members, std::size_t core, Bytes bytes, bool back) {
  Round round;
  for (std::size_t extra = core; extra < members.size(); ++extra) {
    const DeviceId partner = members[extra - core];
    round.push_back({back ? partner : members[extra], back ? members[extra] : partner, bytes});
  }
  if (!round.empty()) {
    rounds.push_back(std::move(round));
  }
}

Round exchange(std::span<const DeviceId> members, std::size_t core, std::size_t distance, Bytes bytes) {
  Round round;
  for (std::size_t i = 0; i < core; ++i) {
    round.push_back({members[i], members[i ^ distance], bytes});
  }
  return round;
}

}  // namespace

std::vector<Round> halving_doubling_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                          const Fabric& /*fabric*/) {
  const std::size_t core = PowerOfTwo(members.size()).core;
  std::vector<Round> rounds;
  if (op != CollectiveOp::kAllGather) {
    fold(rounds, members, core, size, false);
    Bytes bytes = size;
    for (std::size_t distance = core / 2; distance > 0; distance /= 2) {
      bytes /= 2.0;
      rounds.push_back(exchange(members, core, distance, bytes));
    }
  } else {
    fold(rounds, members, core, size / static_cast<double>(members.size()), false);
  }
  if (op == CollectiveOp::kReduceScatter) {
    fold(rounds, members, core, size / static_cast<double>(members.size()), true);
    return rounds;
  }
  Bytes bytes = size / static_cast<double>(core);
  for (std::size_t distance = 1; distance < core; distance *= 2) {
    rounds.push_back(exchange(members, core, distance, bytes));
    bytes *= 2.0;
  }
  fold(rounds, members, core, size, true);
  return rounds;
}

std::vector<Round> recursive_doubling_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                                            const Fabric& fabric) {
  if (op != CollectiveOp::kAllReduce) {
    return halving_doubling_steps(op, size, members, fabric);
  }
  const std::size_t core = PowerOfTwo(members.size()).core;
  std::vector<Round> rounds;
  fold(rounds, members, core, size, false);
  for (std::size_t distance = 1; distance < core; distance *= 2) {
    rounds.push_back(exchange(members, core, distance, size));
  }
  fold(rounds, members, core, size, true);
  return rounds;
}

std::vector<Round> bruck_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                               const Fabric& /*fabric*/) {
  const std::size_t n = members.size();
  const Bytes block = size / static_cast<double>(n);
  std::vector<Round> rounds;
  for (std::size_t distance = 1; distance < n; distance *= 2) {
    std::size_t blocks = 0;
    if (op == CollectiveOp::kAllGather) {
      blocks = std::min(distance, n - distance);
    } else {
      for (std::size_t b = 0; b < n; ++b) {
        blocks += (b & distance) != 0 ? 1U : 0U;
      }
    }
    Round round;
    for (std::size_t i = 0; i < n; ++i) {
      round.push_back({members[i], members[(i + n - distance) % n], block * static_cast<double>(blocks)});
    }
    rounds.push_back(std::move(round));
  }
  return rounds;
}

constinit const CollectiveAlgorithm algorithms::kHalvingDoubling{
    .name = Algorithm::kHalvingDoubling,
    .description = "log2 n exchanges of halving size, then of doubling size (Rabenseifner)",
    .serves = serves_reductions,
    .expand = halving_doubling_steps,
};

constinit const CollectiveAlgorithm algorithms::kRecursiveDoubling{
    .name = Algorithm::kRecursiveDoubling,
    .description = "log2 n exchanges of the whole payload: fewest rounds, most bytes",
    .serves = serves_reductions,
    .expand = recursive_doubling_steps,
};

constinit const CollectiveAlgorithm algorithms::kBruck{
    .name = Algorithm::kBruck,
    .description = "ceil(log2 n) rounds for any n; all-gather and all-to-all",
    .serves = serves_exchanges,
    .expand = bruck_steps,
};

}  // namespace trainyard
