// Longest path over the same Program: one rank per class, every communication at the time it takes alone.
#include <algorithm>
#include <iterator>
#include <map>
#include <variant>

#include "sim/engine/communication_plan.hpp"
#include "sim/engine/event_run.hpp"
#include "sim/engine/simulate.hpp"
#include "sim/engine/whole.hpp"

namespace trainyard {
namespace {

// Classes of the program, split where GPUs differ; and a rank of each.
struct RankClasses {
  std::vector<std::int32_t> of_rank;
  std::vector<RankClass> classes;
};

RankClasses rank_classes(const Program& program, const Fabric& fabric) {
  RankClasses out;
  if (program.variation.any() || program.mixed()) {
    out.of_rank = classes_by_groups(program, fabric);
  } else {
    std::transform(program.class_of.begin(), program.class_of.end(), std::back_inserter(out.of_rank),
                   [](ClassId id) { return id.value; });
  }
  out.classes.resize(static_cast<std::size_t>(*std::max_element(out.of_rank.begin(), out.of_rank.end()) + 1));
  for (std::size_t r = program.ranks(); r-- > 0;) {
    RankClass& rank = out.classes[static_cast<std::size_t>(out.of_rank[r])];
    rank.representative = RankId::from(r);
    rank.program_class = program.class_of[r];
    rank.group_of.resize(program.communications.size(), -1);
    ++rank.count;
  }
  return out;
}

// Which kind of node a device stands in.
std::int32_t kind_of(DeviceId device, const Fabric& fabric) {
  const auto* routing = std::get_if<NodeRouting>(&fabric.routing());
  return routing == nullptr ? 0 : routing->nodes[static_cast<std::size_t>(fabric.node_of(device))].paths;
}

// The place of a group's members: those of one shape cost the same.
std::vector<std::int32_t> shape_of(const std::vector<RankId>& group, const Fabric& fabric) {
  std::vector<std::int32_t> shape;
  shape.reserve(3 * group.size());
  const int first_node = fabric.node_of(DeviceId::from(group.front().index()));
  for (const RankId rank : group) {
    const auto device = DeviceId::from(rank.index());
    shape.insert(shape.end(),
                 {fabric.node_of(device) - first_node, fabric.local_index(device), kind_of(device, fabric)});
  }
  return shape;
}

std::vector<std::int32_t> classes_of(const std::vector<RankId>& group, const RankClasses& ranks) {
  std::vector<std::int32_t> classes;
  for (const RankId rank : group) {
    classes.push_back(ranks.of_rank[rank.index()]);
  }
  std::sort(classes.begin(), classes.end());
  classes.erase(std::unique(classes.begin(), classes.end()), classes.end());
  return classes;
}

// What a call of a group costs, or of several: the most of each.
struct Price {
  Seconds time{};
  int multiprocessors = 0;
  BytesPerSecond memory_rate{};

  void raise(const Price& other) {
    time = max(time, other.time);
    multiprocessors = std::max(multiprocessors, other.multiprocessors);
    memory_rate = max(memory_rate, other.memory_rate);
  }
};

Price price_of(const Communication& communication, const std::vector<RankId>& group, const Fabric& fabric,
               const NetworkCosts& costs) {
  std::vector<DeviceId> devices;
  for (const RankId rank : group) {
    devices.push_back(DeviceId::from(rank.index()));
  }
  const CollectivePlan plan = plan_of(communication, devices, costs);
  return {.time = uncontended_time(plan, fabric), .multiprocessors = plan.sms, .memory_rate = memory_rate(plan)};
}

// Classes stand for ranks, sets of classes for groups. The slowest group of a communication prices all; where GPUs
// differ, the slowest of the same classes. Its time is a flow of as many bytes, one per second, on no link.
Quotient without_network(const Program& program, const Fabric& fabric, const NetworkCosts& costs) {
  Quotient quotient;
  RankClasses ranks = rank_classes(program, fabric);
  quotient.ranks = std::move(ranks.classes);
  const bool mixed = program.mixed();
  for (std::size_t c = 0; c < program.communications.size(); ++c) {
    const Communication& communication = program.communications[c];
    const std::size_t first = quotient.groups.size();
    std::map<std::vector<std::int32_t>, Price> priced;      // by shape
    std::map<std::vector<std::int32_t>, Price> by_classes;  // likewise
    Price slowest;
    for (const std::vector<RankId>& group : communication.groups) {
      std::vector<std::int32_t> classes = classes_of(group, ranks);
      const auto [of_classes, is_new] = by_classes.try_emplace(classes);
      if (is_new) {
        quotient.groups.push_back({.communication = CommunicationId::from(c), .participants = std::move(classes)});
      }
      const auto [price, is_first] = priced.try_emplace(shape_of(group, fabric));
      if (is_first) {
        price->second = price_of(communication, group, fabric, costs);
      }
      of_classes->second.raise(price->second);
      slowest.raise(price->second);
    }
    for (std::size_t g = first; g < quotient.groups.size(); ++g) {
      GroupClass& group = quotient.groups[g];
      const Price& price = mixed ? by_classes.at(group.participants) : slowest;
      group.multiprocessors = price.multiprocessors;
      group.memory_rate = price.memory_rate;
      group.flows.push_back(static_cast<std::int32_t>(quotient.flows.size()));
      quotient.flows.push_back({.bytes = {price.time.value}, .rate_limit = {1.0}, .count = 1});
      for (const std::int32_t member : group.participants) {
        std::int32_t& group_of = quotient.ranks[static_cast<std::size_t>(member)].group_of[c];
        group_of = group_of < 0 ? static_cast<std::int32_t>(g) : group_of;
      }
    }
  }
  return quotient;
}

}  // namespace

Timeline simulate_analytic(const Program& program, const Fabric& fabric, const NetworkCosts& costs) {
  const Quotient quotient = without_network(program, fabric, costs);
  return EventRun(program, fabric, quotient).run();
}

}  // namespace trainyard
