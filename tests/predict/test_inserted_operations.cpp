// Two timelines of which one has more of the same: where it was inserted.
#include <doctest/doctest.h>

#include "sim/predict/inserted_operations.hpp"

using namespace trainyard;

namespace test_inserted_operations {

namespace {

struct Rank {
  RankProgram program;
  RankTimeline timeline;
  double last_issued = 0.0;

  // A kernel that starts when the one before it has ended, and `wait` seconds later; issued at `issued`, never earlier
  // than the one before it.
  Rank& kernel(std::int32_t name, double seconds, double issued = 0.0, double wait = 0.0) {
    const double start = (timeline.end.empty() ? 0.0 : timeline.end.back()) + wait;
    program.operations.push_back(
        {.name = name, .run = {.host = Seconds{issued - last_issued}, .device = Seconds{seconds}}});
    last_issued = issued;
    timeline.start.push_back(start);
    timeline.end.push_back(start + seconds);
    return *this;
  }
};

constexpr std::int32_t kForward = 0;
constexpr std::int32_t kBackward = 1;
constexpr std::int32_t kUpdate = 2;
constexpr double kRounding = 1e-9;

// All forward passes of one second, all backward passes of two, an update.
Rank one_after_the_other(int micro_batches, double wait = 0.0) {
  Rank rank;
  for (int m = 0; m < micro_batches; ++m) {
    rank.kernel(kForward, 1.0, 0.0, m == 0 ? wait : 0.0);
  }
  for (int m = 0; m < micro_batches; ++m) {
    rank.kernel(kBackward, 2.0);
  }
  return rank.kernel(kUpdate, 1.0), rank;
}

std::optional<std::vector<Insertion>> between(const Rank& shorter, const Rank& longer) {
  return insertions(shorter.program, shorter.timeline, longer.program, longer.timeline, kRounding);
}

}  // namespace

TEST_CASE("each phase has an insertion of its own") {
  const auto found = between(one_after_the_other(6), one_after_the_other(8));
  REQUIRE(found.has_value());
  REQUIRE(found->size() == 2);
  // Two forward passes come in front of the first backward pass, two backward passes in front of the update.
  CHECK((*found)[0].at == 6);
  CHECK((*found)[0].more == 2);
  CHECK((*found)[0].later == doctest::Approx(2.0));
  CHECK((*found)[1].at == 12);
  CHECK((*found)[1].more == 2);
  CHECK((*found)[1].later == doctest::Approx(6.0));
  // All forward passes are alike: the first may be an inserted one as well as the last.
  CHECK((*found)[0].from == doctest::Approx(0.0));
  CHECK((*found)[0].until == doctest::Approx(6.0));
  CHECK((*found)[1].from == doctest::Approx(6.0));
  CHECK((*found)[1].until == doctest::Approx(18.0));
}

TEST_CASE("a step that goes on otherwise has no insertions") {
  CHECK_FALSE(between(one_after_the_other(8), one_after_the_other(6)).has_value());
  Rank slower = one_after_the_other(6);
  Rank longer;
  for (int m = 0; m < 8; ++m) {
    longer.kernel(kForward, m == 7 ? 1.5 : 1.0);
  }
  for (int m = 0; m < 8; ++m) {
    longer.kernel(kBackward, 2.0);
  }
  longer.kernel(kUpdate, 1.0);
  CHECK_FALSE(between(slower, longer).has_value());
}

TEST_CASE("a host may gain on its device, not lose") {
  const auto with_host = [](int kernels, double every) {
    Rank rank;
    for (int k = 0; k < kernels; ++k) {
      rank.kernel(kForward, 1.0, every * k);
    }
    return rank.kernel(kUpdate, 1.0, every * kernels), rank;
  };
  CHECK(between(with_host(6, 0.5), with_host(7, 0.5)).has_value());
  CHECK_FALSE(between(with_host(6, 1.5), with_host(7, 1.5)).has_value());
}

TEST_CASE("ranks meet where the same time is inserted at one moment") {
  const auto now = *between(one_after_the_other(6), one_after_the_other(8));
  const auto soon = *between(one_after_the_other(6, 3.0), one_after_the_other(8, 3.0));
  CHECK(meet({now, now}, kRounding));
  CHECK(meet({now, soon}, kRounding));
  // Of a rank that starts when the other's forward passes are over, no forward pass is under way at the same moment.
  const auto late = *between(one_after_the_other(6, 9.0), one_after_the_other(8, 9.0));
  CHECK_FALSE(meet({now, late}, kRounding));
  const auto one_more = *between(one_after_the_other(6), one_after_the_other(7));
  CHECK_FALSE(meet({now, one_more}, kRounding));
  CHECK_FALSE(meet({{}, {}}, kRounding));
}

}  // namespace test_inserted_operations
