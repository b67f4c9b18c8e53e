#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/updates/shared_link.hpp"

using namespace trainyard;

namespace test_shared_link {

namespace {

using doctest::Approx;

// Progressive filling anew after every start and end.
std::vector<Seconds> ends_by_filling(double capacity, const std::vector<LinkTransfer>& transfers) {
  std::vector<double> left;
  std::vector<Seconds> ends(transfers.size());
  for (const LinkTransfer& transfer : transfers) {
    left.push_back(transfer.bytes.value);
  }
  double now = 0.0;
  while (true) {
    std::vector<std::size_t> open;
    double next = std::numeric_limits<double>::infinity();
    for (std::size_t flow = 0; flow < transfers.size(); ++flow) {
      if (transfers[flow].start.value > now) {
        next = std::min(next, transfers[flow].start.value);
      } else if (left[flow] > 0.0) {
        open.push_back(flow);
      }
    }
    if (open.empty() && std::isinf(next)) {
      return ends;
    }
    std::sort(open.begin(), open.end(),
              [&](std::size_t a, std::size_t b) { return transfers[a].most.value < transfers[b].most.value; });
    std::vector<double> rates(transfers.size());
    double rest = capacity;
    for (std::size_t place = 0; place < open.size(); ++place) {
      rates[open[place]] = std::min(transfers[open[place]].most.value, rest / static_cast<double>(open.size() - place));
      rest -= rates[open[place]];
      next = std::min(next, now + left[open[place]] / rates[open[place]]);
    }
    for (const std::size_t flow : open) {
      left[flow] -= rates[flow] * (next - now);
      if (left[flow] <= 1e-9 * transfers[flow].bytes.value) {
        left[flow] = 0.0;
        ends[flow] = {next};
      }
    }
    now = next;
  }
}

}  // namespace

TEST_CASE("a slow flow leaves its share to the others") {
  // 10 B/s for flows of 2 B/s and of more: 2, 4 and 4. 40 B each: the fast ones are over at 10 s, the slow one at 20 s.
  const std::vector<Seconds> ends =
      shared_link_ends({10.0}, {{{}, 40_B, {2.0}}, {{}, 40_B, {100.0}}, {{}, 40_B, {100.0}}});
  CHECK(ends[0].value == Approx(20.0));
  CHECK(ends[1].value == Approx(10.0));
  CHECK(ends[2].value == Approx(10.0));
}

TEST_CASE("a flow that comes takes from those that were held up by nothing") {
  // Alone at 8 of 10 B/s for 5 s, 40 of 60 B; then both at 5: the first's 20 B and 20 of the second's 30 take 4 s; the
  // rest of the second's goes at 10.
  const std::vector<Seconds> ends = shared_link_ends({10.0}, {{{}, 60_B, {8.0}}, {{5.0}, 30_B, {10.0}}});
  CHECK(ends[0].value == Approx(9.0));
  CHECK(ends[1].value == Approx(10.0));
}

TEST_CASE("ends are those of progressive filling, whoever comes and goes") {
  CHECK(rc::check([] {
    const double capacity = *rc::gen::inRange(1, 60);
    std::vector<LinkTransfer> transfers(*rc::gen::inRange<std::size_t>(1, 30));
    for (LinkTransfer& transfer : transfers) {
      transfer = {{*rc::gen::inRange(0, 20) * 0.7}, {*rc::gen::inRange(1, 50) * 1.0}, {*rc::gen::inRange(1, 20) * 1.0}};
    }
    const std::vector<Seconds> ends = shared_link_ends({capacity}, transfers);
    const std::vector<Seconds> expected = ends_by_filling(capacity, transfers);
    for (std::size_t flow = 0; flow < ends.size(); ++flow) {
      RC_ASSERT(std::abs(ends[flow].value - expected[flow].value) <= 1e-6 * expected[flow].value);
    }
  }));
}

}  // namespace test_shared_link
