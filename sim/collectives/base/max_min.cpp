#include "sim/collectives/base/max_min.hpp"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
// Flows whose ends or levels differ by less than this share are taken as equal, so that rounding does not multiply the
// number of rounds.
constexpr double kEqual = 1e-12;

struct Running {
  std::size_t flow = 0;
  std::size_t plan = 0;
  double left = 0.0;
  double rate = 0.0;
};

// Progressive filling over the flows that are running. Links are renumbered so that the cost is the length of the
// routes, not the size of the fabric.
class Sharing {
 public:
  Sharing(std::span<const Flow* const> flows, const Fabric& fabric) : routes_(flows.size()) {
    std::unordered_map<std::int32_t, std::int32_t> number;
    for (std::size_t f = 0; f < flows.size(); ++f) {
      for (const LinkId link : flows[f]->route) {
        const auto [entry, is_new] = number.try_emplace(link.value, static_cast<std::int32_t>(capacity_.size()));
        if (is_new) {
          capacity_.push_back(fabric.link(link).bandwidth.value);
        }
        routes_[f].push_back(static_cast<std::size_t>(entry->second));
      }
      limit_.push_back(flows[f]->rate_limit.value > 0.0 ? flows[f]->rate_limit.value : kInfinite);
    }
  }

  void solve(std::vector<Running>& running) const {
    std::vector<double> left(capacity_);
    std::vector<double> users(capacity_.size());
    for (Running& r : running) {
      r.rate = -1.0;
      for (const std::size_t link : routes_[r.flow]) {
        users[link] += 1.0;
      }
    }
    std::size_t open = running.size();
    double level = 0.0;
    while (open > 0) {
      level = next_level(running, left, users, level);
      TY_ASSERT(level < kInfinite);
      open -= settle(running, left, users, level);
    }
  }

 private:
  // The lowest rate at which an open flow meets its limit or a full link.
  double next_level(const std::vector<Running>& running, const std::vector<double>& left,
                    const std::vector<double>& users, double level) const {
    double next = kInfinite;
    for (const Running& r : running) {
      if (r.rate < 0.0) {
        next = std::min(next, limit_[r.flow]);
        for (const std::size_t link : routes_[r.flow]) {
          next = std::min(next, left[link] / users[link]);
        }
      }
    }
    return std::max(next, level);
  }

  std::size_t settle(std::vector<Running>& running, std::vector<double>& left, std::vector<double>& users,
                     double level) const {
    std::vector<std::size_t> settled;
    for (std::size_t i = 0; i < running.size(); ++i) {
      if (running[i].rate >= 0.0) {
        continue;
      }
      const std::vector<std::size_t>& route = routes_[running[i].flow];
      const bool full = std::any_of(route.begin(), route.end(), [&](std::size_t link) {
        return left[link] / users[link] <= level * (1.0 + kEqual);
      });
      if (full || limit_[running[i].flow] <= level * (1.0 + kEqual)) {
        settled.push_back(i);
      }
    }
    for (const std::size_t i : settled) {
      running[i].rate = level;
      for (const std::size_t link : routes_[running[i].flow]) {
        left[link] = std::max(0.0, left[link] - level);
        users[link] -= 1.0;
      }
    }
    return settled.size();
  }

  std::vector<std::vector<std::size_t>> routes_;
  std::vector<double> capacity_;
  std::vector<double> limit_;
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
  const Sharing sharing(flows, fabric);
  std::vector<double> ends(flows.size());
  std::vector<std::size_t> waiting(flows.size());
  for (std::size_t i = 0; i < waiting.size(); ++i) {
    waiting[i] = i;
  }
  // The last in the list starts first.
  std::stable_sort(waiting.begin(), waiting.end(), [&](std::size_t a, std::size_t b) { return starts[a] > starts[b]; });
  std::vector<Running> running;
  double now = 0.0;
  while (!waiting.empty() || !running.empty()) {
    if (running.empty()) {
      now = starts[waiting.back()];
    }
    while (!waiting.empty() && starts[waiting.back()] <= now * (1.0 + kEqual)) {
      running.push_back({.flow = waiting.back(), .left = flows[waiting.back()]->bytes.value});
      waiting.pop_back();
    }
    sharing.solve(running);
    double step = waiting.empty() ? kInfinite : starts[waiting.back()] - now;
    for (const Running& r : running) {
      step = std::min(step, r.left / r.rate);
    }
    now += step;
    for (Running& r : running) {
      r.left -= r.rate * step;
      if (r.left <= kEqual * flows[r.flow]->bytes.value * 1e3) {
        ends[r.flow] = now;
        r.left = 0.0;
      }
    }
    std::erase_if(running, [](const Running& r) { return r.left <= 0.0; });
  }
  return ends;
}

}  // namespace

std::vector<BytesPerSecond> max_min_rates(std::span<const Flow> flows, const Fabric& fabric) {
  std::vector<const Flow*> pointers;
  std::vector<Running> running;
  for (std::size_t i = 0; i < flows.size(); ++i) {
    pointers.push_back(&flows[i]);
    running.push_back({.flow = i});
  }
  Sharing(pointers, fabric).solve(running);
  std::vector<BytesPerSecond> rates;
  for (const Running& r : running) {
    rates.push_back({r.rate});
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
