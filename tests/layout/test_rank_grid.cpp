#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <string>

#include "sim/layout/rank_grid.hpp"

using namespace trainyard;

namespace test_rank_grid {

namespace {

std::vector<std::int32_t> numbers(const std::vector<RankId>& group) {
  std::vector<std::int32_t> out;
  for (const RankId rank : group) {
    out.push_back(rank.value);
  }
  return out;
}

// Any small layout in any rank order.
Parallelism any_layout() {
  std::vector<std::string> names = {"tp", "cp", "ep", "dp", "pp"};
  for (std::size_t i = names.size(); i > 1; --i) {
    std::swap(names[i - 1], names[*rc::gen::inRange<std::size_t>(0, i)]);
  }
  Parallelism layout{.tp = *rc::gen::inRange(1, 6),
                     .pp = *rc::gen::inRange(1, 6),
                     .cp = *rc::gen::inRange(1, 4),
                     .dp = *rc::gen::inRange(1, 6)};
  layout.order = names[0] + "-" + names[1] + "-" + names[2] + "-" + names[3] + "-" + names[4];
  return layout;
}

}  // namespace

TEST_CASE("Megatron's rank order makes its documented groups") {
  // megatron/core/parallel_state.py, docstring of initialize_model_parallel: 16 GPUs, tp 2, pp 4 (so dp 2) give tensor
  // groups [g0, g1], ..., data groups [g0, g2], [g1, g3], [g4, g6], ..., pipeline groups [g0, g4, g8, g12], ...
  const RankGrid grid = RankGrid::dense(Parallelism{.tp = 2, .pp = 4, .dp = 2});
  REQUIRE(grid.ranks() == 16);
  const auto tensor = grid.groups({Dimension::kTensor});
  REQUIRE(tensor.size() == 8);
  CHECK(numbers(tensor[0]) == std::vector{0, 1});
  CHECK(numbers(tensor[7]) == std::vector{14, 15});
  const auto data = grid.groups({Dimension::kData});
  REQUIRE(data.size() == 8);
  CHECK(numbers(data[0]) == std::vector{0, 2});
  CHECK(numbers(data[1]) == std::vector{1, 3});
  CHECK(numbers(data[2]) == std::vector{4, 6});
  CHECK(numbers(data[7]) == std::vector{13, 15});
  const auto pipeline = grid.groups({Dimension::kPipeline});
  REQUIRE(pipeline.size() == 4);
  CHECK(numbers(pipeline[0]) == std::vector{0, 4, 8, 12});
  CHECK(numbers(pipeline[3]) == std::vector{3, 7, 11, 15});
  // Model-parallel groups hold every rank of one replica: [g0, g1, g4, g5, g8, g9, g12, g13], ...
  const auto model = grid.groups({Dimension::kTensor, Dimension::kPipeline});
  REQUIRE(model.size() == 2);
  CHECK(numbers(model[0]) == std::vector{0, 1, 4, 5, 8, 9, 12, 13});
  CHECK(numbers(model[1]) == std::vector{2, 3, 6, 7, 10, 11, 14, 15});
}

TEST_CASE("another order puts another dimension on neighbouring ranks") {
  // tp-cp-ep-pp-dp: a replica is contiguous, so pipeline neighbours are 2 ranks apart and replicas 8.
  const RankGrid grid = RankGrid::dense(Parallelism{.tp = 2, .pp = 4, .dp = 2, .order = "tp-cp-ep-pp-dp"});
  CHECK(numbers(grid.groups({Dimension::kTensor})[0]) == std::vector{0, 1});
  CHECK(numbers(grid.groups({Dimension::kPipeline})[0]) == std::vector{0, 2, 4, 6});
  CHECK(numbers(grid.groups({Dimension::kData})[0]) == std::vector{0, 8});
  CHECK(grid.coordinates({5}) == Coordinates{1, 0, 0, 0, 2});  // 5 = 1 + 2 * 2: second tensor rank of stage 2
}

TEST_CASE("experts share out the same ranks without multiplying them") {
  // Megatron's parallel folding: tp 2, cp 2, dp 4 on 16 ranks; experts with etp 1 and ep 8 leave 2 copies of each.
  const Parallelism layout{.tp = 2, .cp = 2, .ep = 8, .dp = 4};
  const RankGrid experts = RankGrid::experts(layout);
  CHECK(experts.ranks() == RankGrid::dense(layout).ranks());
  CHECK(numbers(experts.groups({Dimension::kExpert})[0]) == std::vector{0, 1, 2, 3, 4, 5, 6, 7});
  CHECK(numbers(experts.groups({Dimension::kExpert})[1]) == std::vector{8, 9, 10, 11, 12, 13, 14, 15});
  CHECK(numbers(experts.groups({Dimension::kData})[0]) == std::vector{0, 8});
  CHECK(experts.groups({Dimension::kTensor}).size() == 16);
}

TEST_CASE("a rank's coordinates name the rank") {
  CHECK(rc::check([] {
    const Parallelism layout = any_layout();
    const RankGrid grid = RankGrid::dense(layout);
    RC_ASSERT(grid.ranks() == static_cast<std::size_t>(layout.tp * layout.cp * layout.dp * layout.pp));
    for (std::size_t r = 0; r < grid.ranks(); ++r) {
      const Coordinates place = grid.coordinates(RankId::from(r));
      for (const Dimension d : {Dimension::kTensor, Dimension::kContext, Dimension::kData, Dimension::kPipeline}) {
        RC_ASSERT(place[static_cast<std::size_t>(d)] >= 0);
        RC_ASSERT(place[static_cast<std::size_t>(d)] < grid.size(d));
      }
      RC_ASSERT(grid.rank(place) == RankId::from(r));
    }
  }));
}

TEST_CASE("groups along any dimensions partition the ranks, and members differ in those dimensions only") {
  CHECK(rc::check([] {
    const RankGrid grid = RankGrid::dense(any_layout());
    const auto first = *rc::gen::element(Dimension::kTensor, Dimension::kContext, Dimension::kData);
    const auto second =
        *rc::gen::suchThat(rc::gen::element(Dimension::kContext, Dimension::kData, Dimension::kPipeline),
                           [first](Dimension d) { return d != first; });
    const auto groups = grid.groups({first, second});
    std::vector<int> seen(grid.ranks(), 0);
    for (const std::vector<RankId>& group : groups) {
      RC_ASSERT(group.size() == static_cast<std::size_t>(grid.size(first) * grid.size(second)));
      RC_ASSERT(group.front() == *std::min_element(group.begin(), group.end()));
      Coordinates place = grid.coordinates(group.front());
      for (std::size_t i = 0; i < group.size(); ++i) {
        ++seen[group[i].index()];
        // The dimension named first varies fastest.
        place[static_cast<std::size_t>(first)] = static_cast<std::int64_t>(i) % grid.size(first);
        place[static_cast<std::size_t>(second)] = static_cast<std::int64_t>(i) / grid.size(first);
        RC_ASSERT(group[i] == grid.rank(place));
      }
    }
    RC_ASSERT(std::all_of(seen.begin(), seen.end(), [](int count) { return count == 1; }));
    RC_ASSERT(std::is_sorted(groups.begin(), groups.end(),
                             [](const auto& a, const auto& b) { return a.front() < b.front(); }));
  }));
}

}  // namespace test_rank_grid
