#include "sim/engine/laid_out.hpp"

#include <algorithm>
#include <limits>

#include "sim/engine/group_plans.hpp"

namespace trainyard {
namespace {

// How much the flows through a link can bring at most, counted at one end of their routes: flows that share a narrower
// link on that side bring no more than it carries.
struct Bringing {
  LinkId link;
  LinkId narrower;
  double rate;
};

// By link: the most that the flows through it bring, from one end. Entries are gathered by link in two passes.
void limit_by_narrower(const std::vector<Bringing>& entries, const Fabric& fabric, std::vector<double>& most) {
  std::vector<std::int64_t> first(fabric.links().size() + 1, 0);
  for (const Bringing& entry : entries) {
    ++first[entry.link.index() + 1];
  }
  for (std::size_t l = 1; l < first.size(); ++l) {
    first[l] += first[l - 1];
  }
  std::vector<std::pair<LinkId, double>> by_link(entries.size());
  std::vector<std::int64_t> next(first.begin(), first.end() - 1);
  for (const Bringing& entry : entries) {
    by_link[static_cast<std::size_t>(next[entry.link.index()]++)] = {entry.narrower, entry.rate};
  }
  for (std::size_t l = 0; l + 1 < first.size(); ++l) {
    const auto begin = by_link.begin() + first[l];
    const auto end = by_link.begin() + first[l + 1];
    if (begin == end) {
      continue;
    }
    std::stable_sort(begin, end, [](const auto& a, const auto& b) { return a.first < b.first; });
    double sum = 0.0;
    for (auto entry = begin; entry != end;) {
      const LinkId narrower = entry->first;
      double demand = 0.0;
      for (; entry != end && entry->first == narrower; ++entry) {
        demand += entry->second;
      }
      sum += narrower.valid() ? std::min(demand, fabric.link(narrower).bandwidth.value) : demand;
    }
    most[l] = std::min(most[l], sum);
  }
}

// Removes links that can never limit any flow because narrower links before or behind them already do. Spines of a
// full-bisection fabric go this way, and with them the asymmetry of where a ring crosses pods. Only strictly narrower
// links count, so no two links are each removed on account of the other.
void drop_links_that_never_limit(LaidOut& laid, const Fabric& fabric) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  std::vector<double> most(fabric.links().size(), kInfinite);
  std::vector<Bringing> entries;
  entries.reserve(laid.routes.size());
  const auto gather = [&](const LaidFlow& flow, auto begin, auto end) {
    const double rate = flow.rate_limit.value > 0.0 ? flow.rate_limit.value : kInfinite;
    LinkId narrowest;  // so far; the nearest of equals
    for (auto link = begin; link != end; ++link) {
      const bool bounded =
          narrowest.valid() && fabric.link(narrowest).bandwidth.value < fabric.link(*link).bandwidth.value;
      entries.push_back({.link = *link, .narrower = bounded ? narrowest : LinkId{}, .rate = rate});
      narrowest = bounded ? narrowest : *link;
    }
  };
  for (const LaidFlow& flow : laid.flows) {
    const auto route = laid.route(flow);
    gather(flow, route.begin(), route.end());
  }
  limit_by_narrower(entries, fabric, most);
  entries.clear();
  for (const LaidFlow& flow : laid.flows) {
    const auto route = laid.route(flow);
    gather(flow, route.rbegin(), route.rend());
  }
  limit_by_narrower(entries, fabric, most);
  std::vector<char> used(fabric.links().size(), 0);
  for (const LinkId link : laid.routes) {
    used[link.index()] = 1;
  }
  std::vector<char> dropped(fabric.links().size(), 0);
  for (std::size_t l = 0; l < used.size(); ++l) {
    if (used[l] == 0) {
      continue;
    }
    ++laid.links_used;
    const LinkId link = LinkId::from(l);
    if (most[l] <= fabric.link(link).bandwidth.value * (1.0 + 1e-12)) {
      dropped[l] = 1;
    } else {
      laid.links.push_back(link);
    }
  }
  std::int64_t kept = 0;
  for (LaidFlow& flow : laid.flows) {
    const std::int64_t first = flow.first_link;
    const std::int64_t last = first + flow.links;
    flow.first_link = kept;
    for (std::int64_t l = first; l < last; ++l) {
      const LinkId link = laid.routes[static_cast<std::size_t>(l)];
      if (dropped[link.index()] == 0) {
        laid.routes[static_cast<std::size_t>(kept++)] = link;
      }
    }
    flow.links = static_cast<std::int32_t>(kept - flow.first_link);
  }
  laid.routes.resize(static_cast<std::size_t>(kept));
}

std::vector<DeviceId> devices_of(const std::vector<RankId>& group) {
  std::vector<DeviceId> devices;
  devices.reserve(group.size());
  for (const RankId rank : group) {
    devices.push_back(DeviceId::from(rank.index()));
  }
  return devices;
}

// Calls with every group its plan and its members.
template <class Place>
LaidOut place_groups(const Program& program, GroupPlanner& planner, const Place& place) {
  LaidOut laid;
  for (std::size_t c = 0; c < program.communications.size(); ++c) {
    const Communication& communication = program.communications[c];
    for (std::size_t g = 0; g < communication.groups.size(); ++g) {
      const std::vector<DeviceId> members = devices_of(communication.groups[g]);
      const GroupPlan& plan = planner.plan(communication, members);
      laid.groups.push_back({.communication = static_cast<std::int32_t>(c),
                             .index = static_cast<std::int32_t>(g),
                             .latency = plan.latency,
                             .multiprocessors = plan.multiprocessors,
                             .memory_rate = plan.memory_rate,
                             .first_flow = static_cast<std::int32_t>(laid.flows.size())});
      place(laid, communication, members, plan);
      laid.groups.back().flows = static_cast<std::int32_t>(laid.flows.size()) - laid.groups.back().first_flow;
    }
    planner.forget();
  }
  return laid;
}

}  // namespace

LaidOut lay_out(const Program& program, const Fabric& fabric, const NetworkCosts& costs, LaidLinks links) {
  GroupPlanner planner(fabric, costs, TimeAlone::kUnasked);
  LaidOut laid = place_groups(program, planner,
                              [&](LaidOut& out, const Communication& communication,
                                  const std::vector<DeviceId>& members, const GroupPlan& plan) {
                                for (const GroupPlan::Edge& edge : plan.edges) {
                                  const DeviceId from = members[static_cast<std::size_t>(edge.from)];
                                  const std::vector<LinkId> route =
                                      communication.host
                                          ? fabric.host_route(from, *communication.host)
                                          : fabric.route(from, members[static_cast<std::size_t>(edge.to)]);
                                  out.flows.push_back({.group = static_cast<std::int32_t>(out.groups.size() - 1),
                                                       .links = static_cast<std::int32_t>(route.size()),
                                                       .first_link = static_cast<std::int64_t>(out.routes.size()),
                                                       .bytes = edge.bytes,
                                                       .rate_limit = edge.rate_limit});
                                  out.routes.insert(out.routes.end(), route.begin(), route.end());
                                }
                              });
  if (links == LaidLinks::kThatCanLimit) {
    drop_links_that_never_limit(laid, fabric);
    return laid;
  }
  laid.links = laid.routes;
  std::sort(laid.links.begin(), laid.links.end());
  laid.links.erase(std::unique(laid.links.begin(), laid.links.end()), laid.links.end());
  laid.links_used = laid.links.size();
  return laid;
}

void limit_by_routes(LaidOut& laid, const Fabric& fabric) {
  for (LaidFlow& flow : laid.flows) {
    for (const LinkId link : laid.route(flow)) {
      const BytesPerSecond bandwidth = fabric.link(link).bandwidth;
      flow.rate_limit = flow.rate_limit > BytesPerSecond{} ? min(flow.rate_limit, bandwidth) : bandwidth;
    }
  }
}

LaidOut lay_out_alone(const Program& program, const Fabric& fabric, const NetworkCosts& costs) {
  GroupPlanner planner(fabric, costs, TimeAlone::kAsked);
  return place_groups(
      program, planner, [](LaidOut& out, const Communication&, const std::vector<DeviceId>&, const GroupPlan& plan) {
        if (plan.alone > Seconds{}) {
          out.flows.push_back({.group = static_cast<std::int32_t>(out.groups.size() - 1), .alone = plan.alone});
        }
      });
}

}  // namespace trainyard
