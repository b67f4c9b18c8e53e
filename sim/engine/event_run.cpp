#include "sim/engine/event_run.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/effort.hpp"
#include "sim/base/error.hpp"
#include "sim/engine/deadlock.hpp"
#include "sim/engine/timeline_totals.hpp"

namespace trainyard {
namespace {

std::int32_t number_of(std::size_t rank, std::size_t stream) {
  return static_cast<std::int32_t>(rank * kStreams + stream);
}
std::size_t rank_of(std::int32_t number) {
  return static_cast<std::size_t>(number) / kStreams;
}
std::size_t stream_of(std::int32_t number) {
  return static_cast<std::size_t>(number) % kStreams;
}

// Folding has found who is alike: now it is known how many operations are simulated.
void require_run_effort(const Program& program, const Quotient& quotient) {
  constexpr double kBytes = 36.0;  // four times of an operation in the timeline, and what lost time beside them
  double operations = 0.0;
  for (const RankClass& rank : quotient.ranks) {
    operations += static_cast<double>(program.classes[rank.program_class.index()].operations.size());
  }
  require_effort({.events = operations, .bytes = operations * kBytes},
                 {.file = "scenario",
                  .pointer = "/gpus",
                  .remedy = fmt::format("{} of {} ranks differ from all others: use --network analytic, fewer GPUs, "
                                        "fewer micro-batches, or less variation between GPUs",
                                        quotient.ranks.size(), program.ranks())});
}

}  // namespace

EventRun::EventRun(const Program& program, const Fabric& fabric, const Quotient& quotient)
    : program_(program),
      fabric_(fabric),
      quotient_(quotient),
      network_(quotient, fabric, events_),
      calls_(quotient.groups.size()),
      plans_(quotient.groups.size()),
      group_of_flow_(quotient.flows.size(), -1),
      varies_(program.variation.any()) {
  for (std::size_t g = 0; g < quotient.groups.size(); ++g) {
    for (const std::int32_t number : quotient.groups[g].flows) {
      const FlowClass& flow = quotient.flows[static_cast<std::size_t>(number)];
      group_of_flow_[static_cast<std::size_t>(number)] = static_cast<std::int32_t>(g);
      if (!flow.links.empty()) {
        plans_[g].shared.push_back(number);
      } else {
        const double alone = flow.rate_limit.value > 0.0 ? (flow.bytes / flow.rate_limit).value : 0.0;
        plans_[g].direct = std::max(plans_[g].direct, alone);
      }
    }
  }
  require_run_effort(program, quotient);
  class_streams_.reserve(program.classes.size());
  for (const RankProgram& one : program.classes) {
    class_streams_.emplace_back(one);
  }
  timeline_.ranks.resize(quotient.ranks.size());
  ranks_.reserve(quotient.ranks.size());
  for (std::size_t r = 0; r < quotient.ranks.size(); ++r) {
    const RankClass& rank = quotient.ranks[r];
    const RankProgram& rank_program = program.classes[rank.program_class.index()];
    RankTimeline& timeline = timeline_.ranks[r];
    timeline.rank = rank.representative;
    timeline.program_class = rank.program_class;
    timeline.multiplicity = rank.count;
    for (auto* column : {&timeline.issued, &timeline.start, &timeline.moving, &timeline.end}) {
      column->assign(rank_program.operations.size(), 0.0);
    }
    ranks_.emplace_back(rank, rank_program, class_streams_[rank.program_class.index()], timeline);
  }
}

void EventRun::try_start(std::size_t rank, std::size_t stream) {
  RankState& state = ranks_[rank];
  if (state.stream(stream).running || state.at_end(stream) || !state.next_is_ready(stream)) {
    return;
  }
  const std::uint32_t index = state.next(stream);
  ++timeline_.events;
  state.stream(stream).running = true;
  if (state.program().operations[index].kind == OperationKind::kKernels) {
    start_kernels(rank, stream, index);
  } else if (const double issued = state.timeline().issued[index]; issued > now_) {
    events_.push(EventKind::kArrive, issued, number_of(rank, stream));
  } else {
    arrive(rank, stream);
  }
}

void EventRun::start_kernels(std::size_t rank, std::size_t stream, std::uint32_t index) {
  RankState& state = ranks_[rank];
  StreamState& running = state.stream(stream);
  RankTimeline& timeline = state.timeline();
  const KernelRun& run = state.program().operations[index].run;
  if (varies_) {
    running.slowness = program_.slowness(timeline.rank, state.program(), index);
  }
  const double start = kernels_start(run, now_, timeline.issued[index]);
  timeline.start[index] = timeline.moving[index] = start;
  timeline.end[index] = kernels_end(run, running.slowness, now_, timeline.issued[index]);
  running.progress = KernelProgress(start, timeline.end[index], run.device.value * running.slowness);
  if (const GpuLoad load = state.load(); !(load == GpuLoad{})) {
    running.progress.set_slowdown(now_, slowdown(run.sensitivity, load, state.program().gpu) * running.slowness);
    timeline.end[index] = running.progress.end();
  }
  events_.push(EventKind::kKernelsEnd, timeline.end[index], number_of(rank, stream), running.version);
}

// The load on a rank's GPU changed.
void EventRun::reload(std::size_t rank) {
  RankState& state = ranks_[rank];
  StreamState& running = state.stream(kCompute);
  if (!running.running) {
    return;
  }
  const std::uint32_t index = state.next(kCompute);
  const Operation& operation = state.program().operations[index];
  if (operation.kind != OperationKind::kKernels) {
    return;
  }
  const double further = slowdown(operation.run.sensitivity, state.load(), state.program().gpu);
  running.progress.set_slowdown(now_, further * running.slowness);
  if (double& end = state.timeline().end[index]; end != running.progress.end()) {
    end = running.progress.end();
    events_.push(EventKind::kKernelsEnd, end, number_of(rank, kCompute), ++running.version);
  }
}

void EventRun::arrive(std::size_t rank, std::size_t stream) {
  RankState& state = ranks_[rank];
  StreamState& running = state.stream(stream);
  const std::uint32_t index = state.next(stream);
  const Operation& operation = state.program().operations[index];
  state.timeline().start[index] = now_;
  running.moving = now_;
  running.outstanding = static_cast<std::int32_t>(operation.communications);
  TY_ASSERT(operation.communications > 0);
  int held = 0;
  std::int32_t complete = 0;
  for (std::uint32_t i = 0; i < operation.communications; ++i) {
    const CommunicationId id = state.program().communications[operation.first_communication + i];
    const std::int32_t group = state.rank().group_of[id.index()];
    TY_ASSERT(group >= 0);
    const GroupClass& members = quotient_.groups[static_cast<std::size_t>(group)];
    held = std::max(held, members.multiprocessors);  // calls that start together are one kernel
    Call& call = calls_[static_cast<std::size_t>(group)];
    call.waiting.push_back(number_of(rank, stream));
    if (++call.arrived == members.participants.size()) {
      if (varies_) {
        const RankClass& first = quotient_.ranks[static_cast<std::size_t>(members.participants.front())];
        call.slowness = call_slowness(program_.variation, id.value, first.representative,
                                      plans_[static_cast<std::size_t>(group)].calls);
      }
      // Latency runs from here; without it the start is an event of its own all the same, so that nothing recurses.
      events_.push(EventKind::kGroupStart, now_ + members.latency.value * call.slowness, group);
      ++complete;
      for (const std::int32_t waiting : call.waiting) {
        StreamState& member = ranks_[rank_of(waiting)].stream(stream_of(waiting));
        member.moving = now_;
        member.load.memory_rate += members.memory_rate.value;
      }
    }
  }
  if (stream == kCompute) {
    return;  // nothing runs beside it on its own stream
  }
  running.load.multiprocessors = held;
  reload(rank);
  if (complete > 0) {
    for (std::uint32_t i = 0; i < operation.communications; ++i) {
      const CommunicationId id = state.program().communications[operation.first_communication + i];
      const Call& call = calls_[static_cast<std::size_t>(state.rank().group_of[id.index()])];
      for (const std::int32_t waiting : call.waiting) {
        reload(rank_of(waiting));
      }
    }
  }
}

void EventRun::start_group(std::int32_t group) {
  GroupPlan& plan = plans_[static_cast<std::size_t>(group)];
  Call& call = calls_[static_cast<std::size_t>(group)];
  ++plan.calls;
  timeline_.events += static_cast<std::int64_t>(quotient_.groups[static_cast<std::size_t>(group)].flows.size());
  call.flowing = static_cast<std::int32_t>(plan.shared.size()) + (plan.direct >= 0.0 ? 1 : 0);
  if (plan.direct >= 0.0) {
    events_.push(EventKind::kGroupDirect, now_ + plan.direct * call.slowness, group);
  }
  for (const std::int32_t flow : plan.shared) {
    network_.start(flow, now_, call.slowness);
  }
  if (call.flowing == 0) {
    call.flowing = 1;
    flow_over(group);
  }
}

void EventRun::flow_over(std::int32_t group) {
  Call& call = calls_[static_cast<std::size_t>(group)];
  if (--call.flowing > 0) {
    return;
  }
  const std::vector<std::int32_t> waiting = std::exchange(call, {}).waiting;
  for (const std::int32_t number : waiting) {
    StreamState& member = ranks_[rank_of(number)].stream(stream_of(number));
    if (--member.outstanding == 0) {
      finish(rank_of(number), stream_of(number));
    }
  }
}

void EventRun::finish(std::size_t rank, std::size_t stream) {
  RankState& state = ranks_[rank];
  StreamState& running = state.stream(stream);
  const std::uint32_t index = state.next(stream);
  const Operation& operation = state.program().operations[index];
  RankTimeline& timeline = state.timeline();
  if (operation.kind == OperationKind::kCommunication) {
    timeline.moving[index] = running.moving;
    timeline.end[index] = now_;
  } else if (const double further = running.progress.further(); further > 0.0) {
    timeline.slowed.emplace_back(index, further);
  }
  const bool loaded = !(running.load == GpuLoad{});
  state.finish(stream, now_);
  if (loaded) {
    reload(rank);
  }
  for (const std::size_t s : state.used_streams()) {
    try_start(rank, s);
  }
}

void EventRun::dispatch(const QueuedEvent& event) {
  switch (event.kind) {
    case EventKind::kKernelsEnd:
      if (StreamState& stream = ranks_[rank_of(event.subject)].stream(stream_of(event.subject));
          stream.running && stream.version == event.version) {
        ++stream.version;
        finish(rank_of(event.subject), stream_of(event.subject));
      }
      break;
    case EventKind::kArrive:
      arrive(rank_of(event.subject), stream_of(event.subject));
      break;
    case EventKind::kGroupStart:
      start_group(event.subject);
      break;
    case EventKind::kGroupDirect:
      flow_over(event.subject);
      break;
    case EventKind::kFlowEnd:
      if (network_.end(event)) {
        flow_over(group_of_flow_[static_cast<std::size_t>(event.subject)]);
      }
      break;
  }
}

// Ends when nothing can happen any more.
void EventRun::loop() {
  while (true) {
    if (network_.share_before(events_.next_time(), now_)) {
      ++timeline_.shares;
      continue;
    }
    if (events_.empty()) {
      return;
    }
    const QueuedEvent event = events_.pop();
    now_ = std::max(now_, event.time);
    dispatch(event);
  }
}

void EventRun::throw_on_deadlock() {
  std::vector<BlockedOperation> blocked;
  for (RankState& rank : ranks_) {
    for (std::size_t s = 0; s < kStreams; ++s) {
      if (!rank.at_end(s)) {
        blocked.push_back({.rank = rank.rank().representative,
                           .program_class = rank.rank().program_class,
                           .operation = OperationId::from(rank.next(s))});
      }
    }
  }
  if (!blocked.empty()) {
    throw deadlock(program_, blocked);
  }
}

Timeline EventRun::run() {
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    for (const std::size_t s : ranks_[r].used_streams()) {
      try_start(r, s);
    }
  }
  loop();
  throw_on_deadlock();
  std::vector<std::int64_t> calls;
  calls.reserve(plans_.size());
  for (const GroupPlan& plan : plans_) {
    calls.push_back(plan.calls);
  }
  add_totals(timeline_, quotient_, fabric_, calls);
  return std::move(timeline_);
}

}  // namespace trainyard
