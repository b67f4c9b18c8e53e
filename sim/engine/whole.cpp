#include "sim/engine/whole.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <tuple>
#include <variant>

#include "sim/engine/communication_plan.hpp"

namespace trainyard {
namespace {

// What distinguishes the insides of nodes: the links that leave their vertices, in order. Equal numbers, equal nodes.
std::vector<std::int32_t> node_kinds(const Fabric& fabric) {
  using Part = std::tuple<std::int32_t, std::int32_t, std::int32_t, double, double>;
  std::vector<std::vector<Part>> inside;
  for (const Link& link : fabric.links()) {
    const Vertex& from = fabric.vertex(link.from);
    const Vertex& to = fabric.vertex(link.to);
    const int node = std::max(from.node, to.node);
    if (node < 0) {
      continue;
    }
    inside.resize(std::max(inside.size(), static_cast<std::size_t>(node) + 1));
    const auto place = [](const Vertex& vertex) {
      return vertex.node < 0 ? -1 : static_cast<std::int32_t>(vertex.kind) * 1024 + vertex.index;
    };
    inside[static_cast<std::size_t>(node)].emplace_back(place(from), place(to), static_cast<std::int32_t>(link.kind),
                                                        link.bandwidth.value, link.latency.value);
  }
  // Equal links may join different machines, of which a library knows different things.
  if (const auto* routing = std::get_if<NodeRouting>(&fabric.routing())) {
    for (std::size_t node = 0; node < std::min(inside.size(), routing->nodes.size()); ++node) {
      inside[node].emplace_back(routing->nodes[node].paths, 0, 0, 0.0, 0.0);
    }
  }
  std::map<std::vector<Part>, std::int32_t> kinds;
  std::vector<std::int32_t> out;
  for (std::vector<Part>& parts : inside) {
    out.push_back(kinds.try_emplace(std::move(parts), static_cast<std::int32_t>(kinds.size())).first->second);
  }
  return out;
}

// A plan by its members' positions in the group, for every group of the same shape.
struct Template {
  struct Edge {
    std::int32_t from;
    std::int32_t to;
    Bytes bytes;
    BytesPerSecond rate_limit;
  };
  Seconds latency{};
  int multiprocessors = 0;
  BytesPerSecond memory_rate{};
  std::vector<Edge> edges;
};

class Planner {
 public:
  Planner(const Fabric& fabric, const NetworkCosts& costs)
      : fabric_(fabric), costs_(costs), kinds_(node_kinds(fabric)) {}

  const Template& plan(const Communication& communication, const std::vector<DeviceId>& members) {
    shape_.clear();
    const int first_node = fabric_.node_of(members.front());
    DeviceId before;
    for (const DeviceId member : members) {
      const int node = fabric_.node_of(member);
      const auto kind = static_cast<std::size_t>(node) < kinds_.size() ? kinds_[static_cast<std::size_t>(node)] : -1;
      shape_.insert(shape_.end(), {static_cast<double>(node - first_node),
                                   static_cast<double>(fabric_.local_index(member)), static_cast<double>(kind)});
      if (before.valid() && fabric_.node_of(before) != node) {
        add_way(before, member);
      }
      before = member;
    }
    const auto [entry, is_new] = known_.try_emplace(shape_);
    if (is_new) {
      entry->second = make(plan_of(communication, members, costs_), members);
    }
    return entry->second;
  }
  // Plans are remembered for one communication at a time.
  void forget() { known_.clear(); }

 private:
  // How far and how wide it is from one node to the next: fabrics differ between nodes too.
  void add_way(DeviceId from, DeviceId to) {
    double narrowest = std::numeric_limits<double>::infinity();
    double latency = 0.0;
    const std::vector<LinkId> route = fabric_.route(from, to);
    for (const LinkId link : route) {
      narrowest = std::min(narrowest, fabric_.link(link).bandwidth.value);
      latency += fabric_.link(link).latency.value;
    }
    shape_.insert(shape_.end(), {static_cast<double>(route.size()), narrowest, latency});
  }
  static Template make(const CollectivePlan& plan, const std::vector<DeviceId>& members) {
    std::vector<std::pair<DeviceId, std::int32_t>> position;
    for (const DeviceId member : members) {
      position.emplace_back(member, static_cast<std::int32_t>(position.size()));
    }
    std::sort(position.begin(), position.end());
    const auto position_of = [&](DeviceId device) {
      return std::lower_bound(position.begin(), position.end(), std::pair{device, std::int32_t{0}})->second;
    };
    Template out{.latency = plan.latency, .multiprocessors = plan.sms, .memory_rate = memory_rate(plan)};
    out.edges.reserve(plan.flows.size());
    for (const Flow& flow : plan.flows) {
      out.edges.push_back({.from = position_of(flow.from),
                           .to = position_of(flow.to),
                           .bytes = flow.bytes,
                           .rate_limit = flow.rate_limit});
    }
    return out;
  }

  const Fabric& fabric_;
  const NetworkCosts& costs_;
  std::vector<std::int32_t> kinds_;
  std::vector<double> shape_;
  std::map<std::vector<double>, Template> known_;
};

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
void drop_links_that_never_limit(Whole& whole, const Fabric& fabric) {
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  std::vector<double> most(fabric.links().size(), kInfinite);
  std::vector<Bringing> entries;
  entries.reserve(whole.routes.size());
  const auto gather = [&](const WholeFlow& flow, auto begin, auto end) {
    const double rate = flow.rate_limit.value > 0.0 ? flow.rate_limit.value : kInfinite;
    LinkId narrowest;  // so far; the nearest of equals
    for (auto link = begin; link != end; ++link) {
      const bool bounded =
          narrowest.valid() && fabric.link(narrowest).bandwidth.value < fabric.link(*link).bandwidth.value;
      entries.push_back({.link = *link, .narrower = bounded ? narrowest : LinkId{}, .rate = rate});
      narrowest = bounded ? narrowest : *link;
    }
  };
  for (const WholeFlow& flow : whole.flows) {
    const auto route = whole.route(flow);
    gather(flow, route.begin(), route.end());
  }
  limit_by_narrower(entries, fabric, most);
  entries.clear();
  for (const WholeFlow& flow : whole.flows) {
    const auto route = whole.route(flow);
    gather(flow, route.rbegin(), route.rend());
  }
  limit_by_narrower(entries, fabric, most);
  std::vector<char> used(fabric.links().size(), 0);
  for (const LinkId link : whole.routes) {
    used[link.index()] = 1;
  }
  std::vector<char> dropped(fabric.links().size(), 0);
  for (std::size_t l = 0; l < used.size(); ++l) {
    if (used[l] == 0) {
      continue;
    }
    ++whole.links_used;
    const LinkId link = LinkId::from(l);
    if (most[l] <= fabric.link(link).bandwidth.value * (1.0 + 1e-12)) {
      dropped[l] = 1;
    } else {
      whole.links.push_back(link);
    }
  }
  std::int64_t kept = 0;
  for (WholeFlow& flow : whole.flows) {
    const std::int64_t first = flow.first_link;
    const std::int64_t last = first + flow.links;
    flow.first_link = kept;
    for (std::int64_t l = first; l < last; ++l) {
      const LinkId link = whole.routes[static_cast<std::size_t>(l)];
      if (dropped[link.index()] == 0) {
        whole.routes[static_cast<std::size_t>(kept++)] = link;
      }
    }
    flow.links = static_cast<std::int32_t>(kept - flow.first_link);
  }
  whole.routes.resize(static_cast<std::size_t>(kept));
}

}  // namespace

BytesPerSecond memory_rate(const CollectivePlan& plan) {
  Seconds transfer{};
  for (const Flow& flow : plan.flows) {
    if (flow.rate_limit.value > 0.0) {
      transfer = max(transfer, flow.bytes / flow.rate_limit);
    }
  }
  return transfer.value > 0.0 ? plan.memory_traffic / (plan.latency + transfer) : BytesPerSecond{};
}

Whole lay_out(const Program& program, const Fabric& fabric, const NetworkCosts& costs) {
  Whole whole;
  Planner planner(fabric, costs);
  std::vector<DeviceId> members;
  for (std::size_t c = 0; c < program.communications.size(); ++c) {
    const Communication& communication = program.communications[c];
    for (std::size_t g = 0; g < communication.groups.size(); ++g) {
      members.clear();
      for (const RankId rank : communication.groups[g]) {
        members.push_back(DeviceId::from(rank.index()));
      }
      const Template& plan = planner.plan(communication, members);
      whole.groups.push_back({.communication = static_cast<std::int32_t>(c),
                              .index = static_cast<std::int32_t>(g),
                              .latency = plan.latency,
                              .multiprocessors = plan.multiprocessors,
                              .memory_rate = plan.memory_rate,
                              .first_flow = static_cast<std::int32_t>(whole.flows.size()),
                              .flows = static_cast<std::int32_t>(plan.edges.size())});
      for (const Template::Edge& edge : plan.edges) {
        const DeviceId from = members[static_cast<std::size_t>(edge.from)];
        const std::vector<LinkId> route = communication.host
                                              ? fabric.host_route(from, *communication.host)
                                              : fabric.route(from, members[static_cast<std::size_t>(edge.to)]);
        whole.flows.push_back({.group = static_cast<std::int32_t>(whole.groups.size() - 1),
                               .links = static_cast<std::int32_t>(route.size()),
                               .first_link = static_cast<std::int64_t>(whole.routes.size()),
                               .bytes = edge.bytes,
                               .rate_limit = edge.rate_limit});
        whole.routes.insert(whole.routes.end(), route.begin(), route.end());
      }
    }
    planner.forget();
  }
  drop_links_that_never_limit(whole, fabric);
  return whole;
}

}  // namespace trainyard
