// Where no flow holds another up it makes no difference which links a rank's flows cross.
#include <doctest/doctest.h>

#include <numeric>

#include "sim/engine/event_run.hpp"
#include "tests/engine/hand_made.hpp"
#include "tests/engine/in_child.hpp"

using namespace trainyard;
using namespace trainyard::checks;

namespace test_unshared {

namespace {

constexpr std::int32_t kRanks = 32;

// Pairs (0, 1), (2, 3), ... exchange 1 MB after every kernel; after the last all even ranks reduce, all odd ones too,
// and compute once more. Rank 6 is slower.
Program pairs_with_a_straggler(Seconds last) {
  PencilProgram written;
  std::vector<std::vector<RankId>> pairs;
  std::array<std::vector<RankId>, 2> alike;
  std::vector<std::int32_t> all(kRanks);
  std::iota(all.begin(), all.end(), 0);
  for (std::int32_t r = 0; r < kRanks; r += 2) {
    pairs.push_back({{r}, {r + 1}});
    alike[0].push_back({r});
    alike[1].push_back({r + 1});
  }
  const CommunicationId meet = written.communication(CollectiveOp::kAllReduce, 1_MB, pairs);
  const CommunicationId reduce = written.communication(CollectiveOp::kAllReduce, 20_MB, {alike[0], alike[1]});
  written.add(all, [&](RankBuilder& rank) {
    for (int i = 0; i < 3; ++i) {
      compute(rank, 1_ms);
      collect(rank, meet);
    }
    rank.communicate_async(Category::kData, StreamName::kData, "reduce", 1_us, reduce);
    compute(rank, last);
    collect(rank, meet);
    rank.host_wait("end");
  });
  Program program = written.take();
  program.variation.slowness.assign(kRanks, 1.0);
  program.variation.slowness[6] = 1.5;
  return program;
}

struct Runs {
  Timeline whole;  // every rank
  std::size_t classes = 0;
  std::size_t unshared_classes = 0;
  std::optional<Timeline> unshared;
};

Runs runs_of(const Program& program, const PencilCosts& costs, const Fabric& fabric) {
  LaidOut laid = lay_out(program, fabric, costs);
  const auto run = [&](const Quotient& quotient, auto how) {
    const Islands islands = find_islands(program, quotient);
    EventRun events(program, fabric, quotient, islands);
    return (events.*how)(2);
  };
  Runs out;
  out.whole = run(fold_laid_out(program, fabric, laid, Fold::kOff), &EventRun::run);
  out.classes = fold_laid_out(program, fabric, laid, Fold::kOn).ranks.size();
  limit_by_routes(laid, fabric);
  const Quotient quotient = fold_laid_out(program, fabric, laid, Fold::kOn, LinkSharing::kNone);
  out.unshared_classes = quotient.ranks.size();
  out.unshared = run(quotient, &EventRun::run_unshared);
  return out;
}

}  // namespace

TEST_CASE(
    "a straggler leaves all alike that it does not meet, and every rank does what it does by itself, to the bit") {
  const Fabric fabric = star(kRanks, 10_GBps);
  PencilCosts costs(fabric, 5_us);
  // Two such flows would not fit a link, so links count; but reductions are over when the pairs exchange again. Without
  // a limit of its own a flow takes a link for itself.
  for (const BytesPerSecond limit : {6_GBps, 20_GBps, BytesPerSecond{}}) {
    CAPTURE(limit.value);
    costs.rate_limit = limit;
    const Runs runs = runs_of(pairs_with_a_straggler(40_ms), costs, fabric);
    // Rings of 16 tell all ranks apart by their distance from rank 6. Without links these differ: rank 6, rank 7, which
    // waits for it, and the other even and odd ones, which reduce with either.
    CHECK(runs.classes == kRanks);
    CHECK(runs.unshared_classes == 4);
    REQUIRE(runs.unshared.has_value());
    std::int64_t represented = 0;
    for (const RankTimeline& rank : runs.unshared->ranks) {
      const RankTimeline& same = runs.whole.ranks[rank.rank.index()];
      represented += rank.multiplicity;
      CHECK(rank.moving == same.moving);
      CHECK(rank.end == same.end);
    }
    CHECK(represented == kRanks);
    CHECK(runs.unshared->step == runs.whole.step);
    // Through every link go four exchanges and the reduction.
    std::int64_t links = 0;
    for (const LinkUse& link : runs.unshared->links) {
      CHECK(link.bytes == 24_MB);
      links += link.count;
    }
    CHECK(links == 2 * kRanks);
  }
}

TEST_CASE("where a flow holds another up nothing is said") {
  const Fabric fabric = star(kRanks, 10_GBps);
  PencilCosts costs(fabric, 5_us);
  // Two flows at 6 GB/s on a link of 10: the last exchange of the pairs, 0.1 ms after the reduction began, meets it,
  // which takes 3.3 ms.
  costs.rate_limit = 6_GBps;
  CHECK(!runs_of(pairs_with_a_straggler(100_us), costs, fabric).unshared.has_value());
  // 40 ms later it does not.
  CHECK(runs_of(pairs_with_a_straggler(40_ms), costs, fabric).unshared.has_value());
}

}  // namespace test_unshared
