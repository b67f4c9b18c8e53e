#include "sim/engine/event_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/effort.hpp"
#include "sim/base/error.hpp"
#include "sim/base/parallel.hpp"
#include "sim/engine/deadlock.hpp"
#include "sim/engine/timeline_totals.hpp"

namespace trainyard {
namespace {

double operations_of(const Program& program, const Quotient& quotient) {
  double operations = 0.0;
  for (const RankClass& rank : quotient.ranks) {
    operations += static_cast<double>(program.classes[rank.program_class.index()].operations.size());
  }
  return operations;
}

// Folding has found who is alike: now it is known how many operations are simulated.
void require_run_effort(const Program& program, const Quotient& quotient) {
  constexpr double kBytes = 20.0;  // the times of an operation in the timeline, and what lost time beside them
  const double operations = operations_of(program, quotient);
  require_effort({.events = operations, .bytes = operations * kBytes},
                 {.file = "scenario",
                  .pointer = "/gpus",
                  .remedy = fmt::format("{} of {} ranks differ from all others: use --network analytic, fewer GPUs, "
                                        "fewer micro-batches, or less variation between GPUs",
                                        quotient.ranks.size(), program.ranks())});
}

std::vector<SimulatedMachine::CallFlows> call_flows(const Quotient& quotient) {
  std::vector<SimulatedMachine::CallFlows> out(quotient.groups.size());
  for (std::size_t g = 0; g < quotient.groups.size(); ++g) {
    for (const std::int32_t number : quotient.groups[g].flows) {
      const FlowClass& flow = quotient.flows[static_cast<std::size_t>(number)];
      if (!flow.links.empty()) {
        out[g].shared.push_back(number);
      } else {
        const Seconds moves = flow.rate_limit > BytesPerSecond{} ? flow.bytes / flow.rate_limit : Seconds{};
        out[g].direct = std::max(out[g].direct, std::max(flow.alone, moves).value);
      }
    }
  }
  return out;
}

std::vector<std::int32_t> groups_of_flows(const Quotient& quotient) {
  std::vector<std::int32_t> out(quotient.flows.size(), -1);
  for (std::size_t g = 0; g < quotient.groups.size(); ++g) {
    for (const std::int32_t number : quotient.groups[g].flows) {
      out[static_cast<std::size_t>(number)] = static_cast<std::int32_t>(g);
    }
  }
  return out;
}

}  // namespace

EventRun::EventRun(const Program& program, const Fabric& fabric, const Quotient& quotient, const Islands& islands)
    : fabric_(fabric),
      class_streams_(program.classes.begin(), program.classes.end()),
      machine_{.program = program,
               .quotient = quotient,
               .islands = islands,
               .sharing = LinkSharing::kPossible,
               .network = FlowNetwork(quotient, fabric),
               .ranks = {},
               .calls = std::vector<SimulatedMachine::Call>(quotient.groups.size()),
               .flows = call_flows(quotient),
               .group_of_flow = groups_of_flows(quotient)},
      ranks_(islands.count),
      islands_(islands.count, EventLoop(machine_, Reach::kIsland)),
      whole_(machine_, Reach::kWhole) {
  require_run_effort(program, quotient);
  timeline_.ranks.resize(quotient.ranks.size());
  machine_.ranks.reserve(quotient.ranks.size());
  for (std::size_t r = 0; r < quotient.ranks.size(); ++r) {
    const RankClass& rank = quotient.ranks[r];
    RankTimeline& timeline = timeline_.ranks[r];
    timeline.rank = rank.representative;
    timeline.program_class = rank.program_class;
    timeline.multiplicity = rank.count;
    machine_.ranks.emplace_back(rank, program.classes[rank.program_class.index()],
                                class_streams_[rank.program_class.index()], timeline);
    ranks_[static_cast<std::size_t>(islands.of_rank[r])].push_back(r);
  }
}

std::size_t EventRun::island_of(const QueuedEvent& event) const {
  const Islands& islands = machine_.islands;
  const auto subject = static_cast<std::size_t>(event.subject);
  switch (event.kind) {
    case EventKind::kKernelsEnd:
    case EventKind::kArrive:
    case EventKind::kArriveAcross:
      return static_cast<std::size_t>(islands.of_rank[subject / kStreams]);
    case EventKind::kGroupStart:
    case EventKind::kGroupDirect:
      return static_cast<std::size_t>(islands.of_group[subject]);
    case EventKind::kFlowEnd:
      break;
  }
  const auto group = static_cast<std::size_t>(machine_.group_of_flow[subject]);
  return static_cast<std::size_t>(islands.of_group[group]);
}

// What is next on the islands becomes what is next for all; at one moment by island, on one as they were asked for.
void EventRun::gather() {
  std::vector<QueuedEvent> all;
  for (EventLoop& island : islands_) {
    const std::vector<QueuedEvent> next = island.events().take_all();
    all.insert(all.end(), next.begin(), next.end());
  }
  std::stable_sort(all.begin(), all.end(), [](const QueuedEvent& a, const QueuedEvent& b) { return a.time < b.time; });
  for (const QueuedEvent& event : all) {
    whole_.events().push(event.kind, event.time, event.subject, event.version);
  }
}

// And back: nothing between islands is under way. Of that, ends that have become out of date may be left.
void EventRun::scatter() {
  for (const QueuedEvent& event : whole_.events().take_all()) {
    if (const std::size_t island = island_of(event); island < islands_.size()) {
      islands_[island].events().push(event.kind, event.time, event.subject, event.version);
    }
  }
}

void EventRun::throw_on_deadlock() {
  std::vector<BlockedOperation> blocked;
  for (RankState& rank : machine_.ranks) {
    for (std::size_t s = 0; s < kStreams; ++s) {
      if (!rank.at_end(s)) {
        blocked.push_back({.rank = rank.rank().representative,
                           .program_class = rank.rank().program_class,
                           .operation = OperationId::from(rank.next(s))});
      }
    }
  }
  if (!blocked.empty()) {
    throw deadlock(machine_.program, blocked);
  }
}

bool EventRun::is_held_up() const {
  return machine_.sharing == LinkSharing::kNone &&
         (whole_.held_up() ||
          std::any_of(islands_.begin(), islands_.end(), [](const EventLoop& island) { return island.held_up(); }));
}

// Whether it came to an end.
bool EventRun::simulate(std::size_t workers) {
  in_parallel(islands_.size(), workers, [&](std::size_t island) {
    for (const std::size_t rank : ranks_[island]) {
      islands_[island].begin(rank);
    }
    islands_[island].run();
  });
  for (gather(); !is_held_up() && !whole_.events().empty(); gather()) {
    whole_.run();
    scatter();
    if (!is_held_up()) {
      in_parallel(islands_.size(), workers, [&](std::size_t island) { islands_[island].run(); });
    }
  }
  return !is_held_up();
}

Timeline EventRun::take(std::size_t workers) {
  throw_on_deadlock();
  in_parallel(islands_.size(), workers, [&](std::size_t island) {
    for (const std::size_t rank : ranks_[island]) {
      machine_.ranks[rank].end();
    }
  });
  timeline_.events = whole_.executed();
  timeline_.shares = whole_.shares();
  for (const EventLoop& island : islands_) {
    timeline_.events += island.executed();
    timeline_.shares += island.shares();
  }
  std::vector<std::int64_t> calls;
  calls.reserve(machine_.calls.size());
  for (const SimulatedMachine::Call& call : machine_.calls) {
    calls.push_back(call.calls);
  }
  add_totals(timeline_, machine_.quotient, fabric_, calls);
  return std::move(timeline_);
}

Timeline EventRun::run(std::size_t workers) {
  const bool is_over = simulate(workers);
  TY_ASSERT(is_over);
  return take(workers);
}

std::optional<Timeline> EventRun::run_unshared(std::size_t workers) {
  machine_.sharing = LinkSharing::kNone;
  if (!machine_.network.own_limits_hold() || !simulate(workers)) {
    return std::nullopt;
  }
  return take(workers);
}

namespace {

// Below this many operations a step takes milliseconds, of which looking for islands would be a part.
Islands worthwhile_islands(const Program& program, const Quotient& quotient) {
  constexpr double kWorthIt = 1e5;
  return operations_of(program, quotient) < kWorthIt ? one_island(program, quotient) : find_islands(program, quotient);
}

}  // namespace

Timeline run_events(const Program& program, const Fabric& fabric, const Quotient& quotient) {
  const Islands islands = worthwhile_islands(program, quotient);
  return EventRun(program, fabric, quotient, islands).run(workers_for(operations_of(program, quotient)));
}

std::optional<Timeline> run_unshared_events(const Program& program, const Fabric& fabric, const Quotient& quotient) {
  const Islands islands = worthwhile_islands(program, quotient);
  return EventRun(program, fabric, quotient, islands).run_unshared(workers_for(operations_of(program, quotient)));
}

}  // namespace trainyard
