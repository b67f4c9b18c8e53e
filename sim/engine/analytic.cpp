// Longest path over the same Program: one rank per class, every communication at the time it takes alone.
#include <algorithm>
#include <iterator>
#include <set>

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
  if (program.variation.any()) {
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

// The place of a group's members: those of one shape cost the same.
std::vector<std::int32_t> shape_of(const std::vector<RankId>& group, const Fabric& fabric) {
  std::vector<std::int32_t> shape;
  shape.reserve(2 * group.size());
  const int first_node = fabric.node_of(DeviceId::from(group.front().index()));
  for (const RankId rank : group) {
    const auto device = DeviceId::from(rank.index());
    shape.insert(shape.end(), {fabric.node_of(device) - first_node, fabric.local_index(device)});
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

// Classes stand for ranks, sets of classes for groups. The slowest group of a communication prices all; its time is a
// flow of as many bytes, one per second, on no link.
Quotient without_network(const Program& program, const Fabric& fabric, const NetworkCosts& costs) {
  Quotient quotient;
  RankClasses ranks = rank_classes(program, fabric);
  quotient.ranks = std::move(ranks.classes);
  std::vector<DeviceId> devices;
  for (std::size_t c = 0; c < program.communications.size(); ++c) {
    const Communication& communication = program.communications[c];
    const std::size_t first = quotient.groups.size();
    GroupClass slowest{.communication = CommunicationId::from(c)};
    Seconds time{};
    std::set<std::vector<std::int32_t>> priced;
    std::set<std::vector<std::int32_t>> known;
    for (const std::vector<RankId>& group : communication.groups) {
      if (const auto [classes, is_new] = known.insert(classes_of(group, ranks)); is_new) {
        quotient.groups.push_back({.communication = slowest.communication, .participants = *classes});
      }
      if (!priced.insert(shape_of(group, fabric)).second) {
        continue;
      }
      devices.clear();
      for (const RankId rank : group) {
        devices.push_back(DeviceId::from(rank.index()));
      }
      const CollectivePlan plan = plan_of(communication, devices, costs);
      time = max(time, uncontended_time(plan, fabric));
      slowest.multiprocessors = std::max(slowest.multiprocessors, plan.sms);
      slowest.memory_rate = max(slowest.memory_rate, memory_rate(plan));
    }
    for (std::size_t g = first; g < quotient.groups.size(); ++g) {
      GroupClass& group = quotient.groups[g];
      group.multiprocessors = slowest.multiprocessors;
      group.memory_rate = slowest.memory_rate;
      group.flows.push_back(static_cast<std::int32_t>(quotient.flows.size()));
      quotient.flows.push_back({.bytes = {time.value}, .rate_limit = {1.0}, .count = 1});
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
