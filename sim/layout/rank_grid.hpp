#pragma once
// Where each rank stands in the grid of parallel dimensions, and which ranks form a process group.
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

#include "sim/base/id.hpp"
#include "sim/base/parallel_group.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

enum class Dimension { kTensor, kContext, kExpert, kData, kPipeline };
inline constexpr std::size_t kDimensions = 5;

// A rank's coordinate in every dimension.
using Coordinates = std::array<std::int64_t, kDimensions>;

// The grid of ranks. The fastest-varying dimension comes first in `order`, as in Megatron's RankGenerator. The same
// ranks form two grids: one for everything but the experts, and one for the experts, in which expert and expert-tensor
// parallelism take the place of context and tensor parallelism ("parallel folding": ep does not multiply the ranks).
class RankGrid {
 public:
  RankGrid(const Coordinates& sizes, std::string_view order);

  static RankGrid dense(const Parallelism& layout);
  // Sizes: tp -> etp, cp -> 1, ep -> ep, dp -> tp * cp * dp / (etp * ep).
  static RankGrid experts(const Parallelism& layout);

  std::size_t ranks() const { return ranks_; }
  std::int64_t size(Dimension dimension) const { return sizes_[static_cast<std::size_t>(dimension)]; }
  // How many ranks apart neighbours along a dimension stand.
  std::int64_t stride(Dimension dimension) const { return strides_[static_cast<std::size_t>(dimension)]; }
  Coordinates coordinates(RankId rank) const;
  std::int64_t coordinate(RankId rank, Dimension dimension) const {
    return coordinates(rank)[static_cast<std::size_t>(dimension)];
  }
  RankId rank(const Coordinates& coordinates) const;

  // All process groups along some dimensions: ranks that differ in those coordinates only, in rank order of the first
  // dimension named varying fastest; groups are ordered by their first rank. Their union is all ranks.
  std::vector<std::vector<RankId>> groups(std::initializer_list<Dimension> dimensions) const;

 private:
  std::array<std::int64_t, kDimensions> sizes_{};
  std::array<std::int64_t, kDimensions> strides_{};
  std::size_t ranks_ = 0;
};

// How many ranks a group has.
std::int64_t members_of(const Parallelism& layout, ParallelGroup group);

// Cuts every group into blocks of `size` consecutive members (shard groups), and collects the members that stand alike
// in the blocks of one group (replica groups). `size` divides the size of the groups.
std::vector<std::vector<RankId>> blocks_of(const std::vector<std::vector<RankId>>& groups, std::size_t size);
std::vector<std::vector<RankId>> across_blocks(const std::vector<std::vector<RankId>>& groups, std::size_t size);

}  // namespace trainyard
