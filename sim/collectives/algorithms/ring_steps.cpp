// Rings, chains and trees round by round.
#include <algorithm>
#include <bit>

#include "sim/base/error.hpp"
#include "sim/collectives/algorithms/expansions.hpp"

namespace trainyard {
namespace {

// `passes` times n - 1 rounds in which every member sends one n-th to the next.
std::vector<Round> cycle_steps(Bytes size, std::span<const DeviceId> members, int passes) {
  const std::size_t n = members.size();
  std::vector<Round> rounds(static_cast<std::size_t>(passes) * (n - 1));
  for (Round& round : rounds) {
    for (std::size_t i = 0; i < n; ++i) {
      round.push_back({members[i], members[(i + 1) % n], size / static_cast<double>(n)});
    }
  }
  return rounds;
}

// Chunk c leaves member i in round c + i.
std::vector<Round> chain_steps(Bytes size, std::span<const DeviceId> members, bool towards_first) {
  const std::size_t n = members.size();
  std::vector<Round> rounds(static_cast<std::size_t>(kChainChunks) + n - 2);
  for (std::size_t i = 0; i + 1 < n; ++i) {
    for (std::size_t chunk = 0; chunk < static_cast<std::size_t>(kChainChunks); ++chunk) {
      const std::size_t round = towards_first ? chunk + (n - 2 - i) : chunk + i;
      rounds[round].push_back({towards_first ? members[i + 1] : members[i], towards_first ? members[i] : members[i + 1],
                               size / kChainChunks});
    }
  }
  return rounds;
}

int level_of(std::size_t member) {
  return static_cast<int>(std::bit_width(member + 1)) - 1;
}

}  // namespace

std::vector<Round> ring_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                              const Fabric& /*fabric*/) {
  if (members.size() < 2) {
    return {};
  }
  switch (op) {
    case CollectiveOp::kAllReduce:
      return cycle_steps(size, members, 2);
    case CollectiveOp::kAllGather:
    case CollectiveOp::kReduceScatter:
      return cycle_steps(size, members, 1);
    case CollectiveOp::kBroadcast:
      return chain_steps(size, members, false);
    case CollectiveOp::kReduce:
      return chain_steps(size, members, true);
    default:
      TY_ASSERT(false);
      return {};
  }
}

// Double binary tree (Sanders, Speck, Traeff 2009): a heap-ordered tree on half of the payload and its mirror on the
// other half, so that who is inner in one is mostly leaf in the other. Chunks go up level by level and, as soon as the
// root has one, down again.
std::vector<Round> tree_steps(CollectiveOp op, Bytes size, std::span<const DeviceId> members,
                              const Fabric& /*fabric*/) {
  TY_ASSERT(op == CollectiveOp::kAllReduce);
  const std::size_t n = members.size();
  if (n < 2) {
    return {};
  }
  const int depth = level_of(n - 1);
  const auto chunks = static_cast<std::size_t>(kTreeChunks);
  std::vector<Round> rounds(chunks + 2 * static_cast<std::size_t>(depth));
  const Bytes chunk_size = size / (2.0 * kTreeChunks);
  for (const bool mirrored : {false, true}) {
    const auto member = [&](std::size_t i) { return members[mirrored ? n - 1 - i : i]; };
    for (std::size_t child = 1; child < n; ++child) {
      const std::size_t parent = (child - 1) / 2;
      const auto up = static_cast<std::size_t>(depth - level_of(child));
      const auto down = static_cast<std::size_t>(depth + level_of(parent));
      for (std::size_t chunk = 0; chunk < chunks; ++chunk) {
        rounds[chunk + up].push_back({member(child), member(parent), chunk_size});
        rounds[chunk + down].push_back({member(parent), member(child), chunk_size});
      }
    }
  }
  return rounds;
}

}  // namespace trainyard
