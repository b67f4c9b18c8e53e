#include "sim/layout/rank_grid.hpp"

#include <algorithm>
#include <string_view>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr NameTable<Dimension, 5> kDimensionNames{{{{"tp", Dimension::kTensor},
                                                    {"cp", Dimension::kContext},
                                                    {"ep", Dimension::kExpert},
                                                    {"dp", Dimension::kData},
                                                    {"pp", Dimension::kPipeline}}}};

}  // namespace

RankGrid::RankGrid(const Coordinates& sizes, std::string_view order) : sizes_(sizes) {
  std::int64_t stride = 1;
  while (!order.empty()) {
    const std::size_t dash = std::min(order.find('-'), order.size());
    if (const auto dimension = kDimensionNames.find(order.substr(0, dash))) {
      const auto axis = static_cast<std::size_t>(*dimension);
      strides_[axis] = stride;
      stride *= sizes_[axis];
    }
    order.remove_prefix(std::min(dash + 1, order.size()));
  }
  ranks_ = static_cast<std::size_t>(stride);
}

RankGrid RankGrid::dense(const Parallelism& layout) {
  return {{layout.tp, layout.cp, 1, layout.dp, layout.pp}, layout.order};
}

RankGrid RankGrid::experts(const Parallelism& layout) {
  return {{layout.etp, 1, layout.ep, layout.expert_dp(), layout.pp}, layout.order};
}

Coordinates RankGrid::coordinates(RankId rank) const {
  Coordinates out{};
  for (std::size_t axis = 0; axis < kDimensions; ++axis) {
    out[axis] = rank.value / strides_[axis] % sizes_[axis];
  }
  return out;
}

RankId RankGrid::rank(const Coordinates& coordinates) const {
  std::int64_t rank = 0;
  for (std::size_t axis = 0; axis < kDimensions; ++axis) {
    rank += coordinates[axis] * strides_[axis];
  }
  return {static_cast<std::int32_t>(rank)};
}

std::vector<std::vector<RankId>> RankGrid::groups(std::initializer_list<Dimension> dimensions) const {
  std::vector<std::int64_t> offsets = {0};  // of the members from the group's first rank
  for (const Dimension dimension : dimensions) {
    const auto axis = static_cast<std::size_t>(dimension);
    const std::size_t inner = offsets.size();
    for (std::int64_t i = 1; i < sizes_[axis]; ++i) {
      for (std::size_t j = 0; j < inner; ++j) {
        offsets.push_back(offsets[j] + i * strides_[axis]);
      }
    }
  }
  std::vector<std::vector<RankId>> out;
  out.reserve(ranks_ / offsets.size());
  for (std::size_t first = 0; first < ranks_; ++first) {
    const Coordinates place = coordinates(RankId::from(first));
    const bool is_first = std::all_of(dimensions.begin(), dimensions.end(),
                                      [&](Dimension d) { return place[static_cast<std::size_t>(d)] == 0; });
    if (!is_first) {
      continue;
    }
    std::vector<RankId>& group = out.emplace_back();
    group.reserve(offsets.size());
    for (const std::int64_t offset : offsets) {
      group.push_back(RankId::from(first + static_cast<std::size_t>(offset)));
    }
  }
  return out;
}

std::vector<std::vector<RankId>> blocks_of(const std::vector<std::vector<RankId>>& groups, std::size_t size) {
  std::vector<std::vector<RankId>> out;
  for (const std::vector<RankId>& group : groups) {
    TY_ASSERT(size > 0 && group.size() % size == 0);
    for (std::size_t first = 0; first < group.size(); first += size) {
      std::vector<RankId>& block = out.emplace_back();
      for (std::size_t i = 0; i < size; ++i) {
        block.push_back(group[first + i]);
      }
    }
  }
  return out;
}

std::vector<std::vector<RankId>> across_blocks(const std::vector<std::vector<RankId>>& groups, std::size_t size) {
  std::vector<std::vector<RankId>> out;
  for (const std::vector<RankId>& group : groups) {
    TY_ASSERT(size > 0 && group.size() % size == 0);
    for (std::size_t place = 0; place < size; ++place) {
      std::vector<RankId>& alike = out.emplace_back();
      for (std::size_t i = place; i < group.size(); i += size) {
        alike.push_back(group[i]);
      }
    }
  }
  return out;
}

std::int64_t members_of(const Parallelism& layout, ParallelGroup group) {
  switch (group) {
    case ParallelGroup::kTensor:
      return layout.tp;
    case ParallelGroup::kContext:
      return layout.cp;
    case ParallelGroup::kContextInner:
      return layout.context_inner;
    case ParallelGroup::kContextOuter:
      return layout.cp / layout.context_inner;
    case ParallelGroup::kExpert:
      return layout.ep;
    case ParallelGroup::kExpertTensor:
      return layout.etp;
    case ParallelGroup::kData:
      return layout.data_ranks();
    case ParallelGroup::kShard:
      return layout.hsdp_shard;
    case ParallelGroup::kReplica:
      return layout.data_ranks() / layout.hsdp_shard;
    case ParallelGroup::kExpertData:
      return layout.expert_dp();
    case ParallelGroup::kExpertShard:
      return layout.expert_shard();
    case ParallelGroup::kExpertReplica:
      return layout.expert_dp() / layout.expert_shard();
    case ParallelGroup::kModel:
      return layout.tp * layout.pp;
    case ParallelGroup::kEmbedding:
    case ParallelGroup::kMirror:
      break;
  }
  return 2;
}

}  // namespace trainyard
