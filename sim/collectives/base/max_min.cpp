#include "sim/collectives/base/max_min.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "sim/base/error.hpp"
#include "sim/collectives/base/fair_shares.hpp"

namespace trainyard {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
// Flows whose ends or levels differ by less than this share are taken as equal, so that rounding does not multiply the
// number of rounds.
constexpr double kEqual = 1e-12;

// Flows that come and go. Links are renumbered so that the cost is the length of the routes, not the size of the
// fabric.
class Sharing {
 public:
  Sharing(std::span<const Flow* const> flows, const Fabric& fabric)
      : shares_(shares_of(flows, fabric)), rates_(flows.size(), 0.0) {}

  void enter(std::size_t flow) {
    const auto number = static_cast<std::int32_t>(flow);
    rates_[flow] = shares_.alone(number);
    shares_.enter(number, changes_);
  }
  void leave(std::size_t flow) { shares_.leave(static_cast<std::int32_t>(flow), changes_); }
  // Rates of those that have entered, in bytes per second.
  const std::vector<double>& rates() {
    if (changes_.any()) {
      for (const auto& [flow, rate] : shares_.solve(changes_)) {
        rates_[static_cast<std::size_t>(flow)] = rate;
      }
    }
    return rates_;
  }

 private:
  static FairShares shares_of(std::span<const Flow* const> flows, const Fabric& fabric) {
    std::vector<double> capacity;
    std::vector<std::vector<FairShares::Crossing>> crossings(flows.size());
    std::vector<double> limits;
    std::unordered_map<std::int32_t, std::int32_t> number;
    for (std::size_t f = 0; f < flows.size(); ++f) {
      TY_ASSERT(flows[f]->rate_limit.value > 0.0 || !flows[f]->route.empty());
      for (const LinkId link : flows[f]->route) {
        const auto [entry, is_new] = number.try_emplace(link.value, static_cast<std::int32_t>(capacity.size()));
        if (is_new) {
          capacity.push_back(fabric.link(link).bandwidth.value);
        }
        const std::int32_t index = entry->second;
        const auto crossed = std::find_if(crossings[f].begin(), crossings[f].end(),
                                          [index](const auto& one) { return one.link == index; });
        if (crossed == crossings[f].end()) {
          crossings[f].push_back({.link = index, .weight = 1.0});
        } else {
          crossed->weight += 1.0;
        }
      }
      limits.push_back(flows[f]->rate_limit.value);
    }
    return {std::move(capacity), std::move(crossings), limits};
  }

  FairShares shares_;
  FairShares::Changes changes_;
  std::vector<double> rates_;
};

// When no link can be asked for more than it has, every flow runs at its limit.
bool limits_fit(std::span<const Flow> flows, const Fabric& fabric) {
  std::unordered_map<std::int32_t, double> asked;
  for (const Flow& flow : flows) {
    if (flow.rate_limit.value <= 0.0) {
      return false;
    }
    for (const LinkId link : flow.route) {
      asked[link.value] += flow.rate_limit.value;
    }
  }
  return std::all_of(asked.begin(), asked.end(), [&](const auto& entry) {
    return entry.second <= fabric.link({entry.first}).bandwidth.value * (1.0 + kEqual);
  });
}

std::vector<double> fluid_ends(std::span<const Flow* const> flows, std::span<const double> starts,
                               const Fabric& fabric) {
  Sharing sharing(flows, fabric);
  std::vector<double> ends(flows.size());
  std::vector<std::size_t> waiting(flows.size());
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    waiting[i] = i;
  }
  // The last in the list starts first.
  std::stable_sort(waiting.begin(), waiting.end(), [&](std::size_t a, std::size_t b) { return starts[a] > starts[b]; });
  std::vector<std::size_t> running;
  std::vector<double> left(flows.size());  // bytes
  double now = 0.0;
  while (!waiting.empty() || !running.empty()) {
    if (running.empty()) {
      now = starts[waiting.back()];
    }
    while (!waiting.empty() && starts[waiting.back()] <= now * (1.0 + kEqual)) {
      running.push_back(waiting.back());
      left[waiting.back()] = flows[waiting.back()]->bytes.value;
      sharing.enter(waiting.back());
      waiting.pop_back();
    }
    const std::vector<double>& rates = sharing.rates();
    double step = waiting.empty() ? kInfinite : starts[waiting.back()] - now;
    for (const std::size_t flow : running) {
      step = std::min(step, left[flow] / rates[flow]);
    }
    now += step;
    std::erase_if(running, [&](std::size_t flow) {
      left[flow] -= rates[flow] * step;
      const bool is_over = left[flow] <= kEqual * flows[flow]->bytes.value * 1e3;
      if (is_over) {
        ends[flow] = now;
        sharing.leave(flow);
      }
      return is_over;
    });
  }
  return ends;
}

}  // namespace

std::vector<BytesPerSecond> max_min_rates(std::span<const Flow> flows, const Fabric& fabric) {
  std::vector<const Flow*> pointers;
  for (const Flow& flow : flows) {
    pointers.push_back(&flow);
  }
  Sharing sharing(pointers, fabric);
  for (std::size_t f = 0; f < flows.size(); ++f) {
    sharing.enter(f);
  }
  std::vector<BytesPerSecond> rates;
  for (const double rate : sharing.rates()) {
    rates.push_back({rate});
  }
  return rates;
}

std::vector<Seconds> flow_ends(std::span<const Flow> flows, const Fabric& fabric) {
  std::vector<Seconds> out;
  if (limits_fit(flows, fabric)) {
    for (const Flow& flow : flows) {
      out.push_back(flow.bytes / flow.rate_limit);
    }
    return out;
  }
  std::vector<const Flow*> pointers;
  for (const Flow& flow : flows) {
    pointers.push_back(&flow);
  }
  for (const double end : fluid_ends(pointers, std::vector<double>(flows.size()), fabric)) {
    out.push_back({end});
  }
  return out;
}

std::vector<Seconds> concurrent_times(std::span<const CollectivePlan> plans, const Fabric& fabric) {
  std::vector<const Flow*> flows;
  std::vector<double> starts;
  std::vector<std::size_t> owner;
  std::vector<Seconds> over;
  for (std::size_t p = 0; p < plans.size(); ++p) {
    over.push_back(plans[p].latency);
    for (const Flow& flow : plans[p].flows) {
      flows.push_back(&flow);
      starts.push_back(plans[p].latency.value);
      owner.push_back(p);
    }
  }
  const std::vector<double> ends = fluid_ends(flows, starts, fabric);
  for (std::size_t f = 0; f < flows.size(); ++f) {
    over[owner[f]] = max(over[owner[f]], Seconds{ends[f]});
  }
  return over;
}

Seconds uncontended_time(const CollectivePlan& plan, const Fabric& fabric) {
  Seconds longest{};
  for (const Seconds end : flow_ends(plan.flows, fabric)) {
    longest = max(longest, end);
  }
  return plan.latency + longest;
}

}  // namespace trainyard
