// Shares are max-min fair whatever came and went before.
#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

#include "sim/collectives/base/fair_shares.hpp"

using namespace trainyard;

namespace test_fair_shares {

namespace {

using Crossings = std::vector<std::vector<FairShares::Crossing>>;

// Rates by flow as they are told: a flow that fits moves at its own limit, others as the last solution said.
class Moving {
 public:
  Moving(std::vector<double> capacity, Crossings crossings, const std::vector<double>& limits)
      : capacity_(capacity), shares_(std::move(capacity), std::move(crossings), limits) {}

  void enter(std::int32_t flow) {
    shares_.enter(flow, changes_);
    rates[flow] = shares_.alone(flow);
  }
  void leave(std::int32_t flow) {
    shares_.leave(flow, changes_);
    rates.erase(flow);
  }
  void solve() {
    if (changes_.any()) {
      for (const auto& [flow, rate] : shares_.solve(changes_)) {
        rates.at(flow) = rate;
      }
    }
  }
  // Max-min fair: no link carries more than it can, and every flow is at its own limit or crosses a full link on which
  // no other flow is faster.
  bool is_fair() const {
    std::vector<double> load(capacity_.size(), 0.0);
    std::vector<double> fastest(capacity_.size(), 0.0);
    for (const auto& [flow, rate] : rates) {
      for (const auto& [link, weight] : shares_.crossings(flow)) {
        load[static_cast<std::size_t>(link)] += weight * rate;
        fastest[static_cast<std::size_t>(link)] = std::max(fastest[static_cast<std::size_t>(link)], rate);
      }
    }
    const auto is_full = [&](std::size_t link) { return load[link] >= capacity_[link] * (1.0 - 1e-9); };
    for (std::size_t link = 0; link < capacity_.size(); ++link) {
      if (load[link] > capacity_[link] * (1.0 + 1e-9)) {
        return false;
      }
    }
    return std::all_of(rates.begin(), rates.end(), [&](const auto& one) {
      const auto& crossings = shares_.crossings(one.first);
      return one.second >= shares_.alone(one.first) * (1.0 - 1e-9) ||
             std::any_of(crossings.begin(), crossings.end(), [&](const FairShares::Crossing& crossed) {
               const auto link = static_cast<std::size_t>(crossed.link);
               return is_full(link) && one.second >= fastest[link] * (1.0 - 1e-9);
             });
    });
  }

  std::map<std::int32_t, double> rates;

 private:
  std::vector<double> capacity_;
  FairShares shares_;
  FairShares::Changes changes_;
};

}  // namespace

TEST_CASE("what one flow cannot use the others share") {
  // 9 GB/s among a limit of 1 GB/s, one flow of weight 1 and a class of weight 3: (9 - 1) / 4 each.
  Moving moving({9e9}, {{{0, 1.0}}, {{0, 1.0}}, {{0, 3.0}}}, {1e9, 0.0, 0.0});
  moving.enter(0);
  CHECK(moving.rates.at(0) == 1e9);
  moving.enter(1);
  moving.enter(2);
  moving.solve();
  CHECK(moving.rates.at(0) == doctest::Approx(1e9).epsilon(1e-12));
  CHECK(moving.rates.at(1) == doctest::Approx(2e9).epsilon(1e-12));
  CHECK(moving.rates.at(2) == doctest::Approx(2e9).epsilon(1e-12));
  moving.leave(2);
  moving.solve();
  CHECK(moving.rates.at(1) == doctest::Approx(8e9).epsilon(1e-12));
}

TEST_CASE("a flow held up on one link leaves its part of another to others") {
  // Flows a over links 0 and 1, b over 0, c over 1; 1 GB/s and 10 GB/s: a and b get half a GB/s each, c 9.5.
  Moving moving({1e9, 10e9}, {{{0, 1.0}, {1, 1.0}}, {{0, 1.0}}, {{1, 1.0}}}, {0.0, 0.0, 0.0});
  for (const std::int32_t flow : {0, 1, 2}) {
    moving.enter(flow);
  }
  moving.solve();
  CHECK(moving.rates.at(0) == doctest::Approx(0.5e9).epsilon(1e-12));
  CHECK(moving.rates.at(1) == doctest::Approx(0.5e9).epsilon(1e-12));
  CHECK(moving.rates.at(2) == doctest::Approx(9.5e9).epsilon(1e-12));
}

TEST_CASE("shares are max-min fair after every change") {
  CHECK(rc::check([] {
    const auto links = *rc::gen::inRange<std::size_t>(1, 8);
    const auto flows = *rc::gen::inRange<std::size_t>(1, 16);
    std::vector<double> capacity;
    for (std::size_t l = 0; l < links; ++l) {
      capacity.push_back(1e9 * *rc::gen::inRange(1, 20));
    }
    Crossings crossings(flows);
    std::vector<double> limits;
    for (std::size_t f = 0; f < flows; ++f) {
      std::map<std::int32_t, double> crossed;
      for (int i = 0; i < 3; ++i) {
        crossed[*rc::gen::inRange(0, static_cast<int>(links))] = *rc::gen::inRange(1, 4);
      }
      for (const auto& [link, weight] : crossed) {
        crossings[f].push_back({link, weight});
      }
      limits.push_back(0.7e9 * *rc::gen::inRange(0, 20));
    }
    Moving moving(capacity, crossings, limits);
    for (int change = 0; change < 30; ++change) {
      const auto flow = *rc::gen::inRange(0, static_cast<int>(flows));
      if (moving.rates.contains(flow)) {
        moving.leave(flow);
      } else {
        moving.enter(flow);
      }
      if (*rc::gen::inRange(0, 3) > 0) {  // several changes at once
        moving.solve();
        RC_ASSERT(moving.is_fair());
      }
    }
  }));
}

}  // namespace test_fair_shares
