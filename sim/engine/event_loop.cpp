#include "sim/engine/event_loop.hpp"

#include <algorithm>
#include <bit>
#include <limits>

#include "sim/base/error.hpp"

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

}  // namespace

bool EventLoop::is_across(std::int32_t group) const {
  return machine_.islands.of_group[static_cast<std::size_t>(group)] == Islands::kAcross;
}

bool EventLoop::is_across(const RankProgram& program, const Operation& operation) const {
  const auto first = program.communications.begin() + operation.first_communication;
  return std::any_of(first, first + operation.communications,
                     [&](CommunicationId id) { return machine_.islands.across[id.index()] != 0; });
}

// Streams in the order of their numbers. What starts leaves the others idle.
void EventLoop::start_idle(std::size_t rank) {
  RankState& state = machine_.ranks[rank];
  for (std::uint32_t idle = state.idle(); idle != 0; idle &= idle - 1) {
    if (const auto stream = static_cast<std::size_t>(std::countr_zero(idle)); state.next_is_ready(stream)) {
      start(rank, stream);
    }
  }
}

void EventLoop::start(std::size_t rank, std::size_t stream) {
  RankState& state = machine_.ranks[rank];
  const std::uint32_t index = state.next(stream);
  ++executed_;
  state.start(stream);
  if (state.program().operations[index].kind == OperationKind::kKernels) {
    start_kernels(rank, stream, index);
    return;
  }
  const double issued = state.issued(index);
  const bool across = is_across(state.program(), state.program().operations[index]);
  if (issued > now_ || (across && reach_ == Reach::kIsland)) {
    part_.events.push(across ? EventKind::kArriveAcross : EventKind::kArrive, std::max(now_, issued),
                      number_of(rank, stream));
  } else {
    arrive(rank, stream);
  }
}

void EventLoop::start_kernels(std::size_t rank, std::size_t stream, std::uint32_t index) {
  RankState& state = machine_.ranks[rank];
  StreamState& running = state.stream(stream);
  RankTimeline& timeline = state.timeline();
  const KernelRun& run = state.program().operations[index].run;
  if (machine_.program.variation.any()) {
    running.slowness = machine_.program.slowness(timeline.rank, state.program(), index);
  }
  const double issued = state.issued(index);
  const double start = kernels_start(run, now_, issued);
  timeline.end[index] = kernels_end(run, running.slowness, now_, issued);
  running.progress = KernelProgress(start, timeline.end[index], run.device.value * running.slowness);
  if (const GpuLoad load = state.load(); !(load == GpuLoad{})) {
    running.progress.set_slowdown(now_, slowdown(run.sensitivity, load, state.program().gpu) * running.slowness);
    timeline.end[index] = running.progress.end();
  }
  part_.events.push(EventKind::kKernelsEnd, timeline.end[index], number_of(rank, stream), running.version);
}

// The load on a rank's GPU changed.
void EventLoop::reload(std::size_t rank) {
  RankState& state = machine_.ranks[rank];
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
    part_.events.push(EventKind::kKernelsEnd, end, number_of(rank, kCompute), ++running.version);
  }
}

void EventLoop::arrive(std::size_t rank, std::size_t stream) {
  RankState& state = machine_.ranks[rank];
  StreamState& running = state.stream(stream);
  const std::uint32_t index = state.next(stream);
  const Operation& operation = state.program().operations[index];
  running.moving = now_;
  running.outstanding = static_cast<std::int32_t>(operation.communications);
  TY_ASSERT(operation.communications > 0);
  int held = 0;
  std::int32_t complete = 0;
  for (std::uint32_t i = 0; i < operation.communications; ++i) {
    const CommunicationId id = state.program().communications[operation.first_communication + i];
    const std::int32_t group = state.rank().group_of[id.index()];
    TY_ASSERT(group >= 0);
    const GroupClass& members = machine_.quotient.groups[static_cast<std::size_t>(group)];
    held = std::max(held, members.multiprocessors);  // calls that start together are one kernel
    SimulatedMachine::Call& call = machine_.calls[static_cast<std::size_t>(group)];
    if (call.arrived == 0 && is_across(group)) {
      ++machine_.open_across;
    }
    call.waiting.push_back(number_of(rank, stream));
    if (++call.arrived == members.participants.size()) {
      if (machine_.program.variation.any()) {
        const RankClass& first = machine_.quotient.ranks[static_cast<std::size_t>(members.participants.front())];
        call.slowness = call_slowness(machine_.program.variation, id.value, first.representative, call.calls);
      }
      // Latency runs from here; without it the start is an event of its own all the same, so that nothing recurses.
      part_.events.push(EventKind::kGroupStart, now_ + members.latency.value * call.slowness, group);
      ++complete;
      for (const std::int32_t waiting : call.waiting) {
        StreamState& member = machine_.ranks[rank_of(waiting)].stream(stream_of(waiting));
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
      const SimulatedMachine::Call& call = machine_.calls[static_cast<std::size_t>(state.rank().group_of[id.index()])];
      for (const std::int32_t waiting : call.waiting) {
        reload(rank_of(waiting));
      }
    }
  }
}

void EventLoop::start_group(std::int32_t group) {
  const SimulatedMachine::CallFlows& plan = machine_.flows[static_cast<std::size_t>(group)];
  SimulatedMachine::Call& call = machine_.calls[static_cast<std::size_t>(group)];
  ++call.calls;
  executed_ += static_cast<std::int64_t>(machine_.quotient.groups[static_cast<std::size_t>(group)].flows.size());
  call.flowing = static_cast<std::int32_t>(plan.shared.size()) + (plan.direct >= 0.0 ? 1 : 0);
  if (plan.direct >= 0.0) {
    part_.events.push(EventKind::kGroupDirect, now_ + plan.direct * call.slowness, group);
  }
  for (const std::int32_t flow : plan.shared) {
    machine_.network.start(flow, now_, call.slowness, part_);
  }
  if (call.flowing == 0) {
    call.flowing = 1;
    flow_over(group);
  }
}

void EventLoop::flow_over(std::int32_t group) {
  SimulatedMachine::Call& call = machine_.calls[static_cast<std::size_t>(group)];
  if (--call.flowing > 0) {
    return;
  }
  call.arrived = 0;
  released_.clear();
  released_.swap(call.waiting);
  if (is_across(group)) {
    --machine_.open_across;
    met_ = true;
  }
  for (const std::int32_t number : released_) {
    StreamState& member = machine_.ranks[rank_of(number)].stream(stream_of(number));
    if (--member.outstanding == 0) {
      finish(rank_of(number), stream_of(number));
    }
  }
}

void EventLoop::finish(std::size_t rank, std::size_t stream) {
  RankState& state = machine_.ranks[rank];
  StreamState& running = state.stream(stream);
  const std::uint32_t index = state.next(stream);
  const Operation& operation = state.program().operations[index];
  RankTimeline& timeline = state.timeline();
  if (operation.kind == OperationKind::kCommunication) {
    state.set_moving(index, running.moving);
    timeline.end[index] = now_;
  } else if (const double further = running.progress.further(); further > 0.0) {
    timeline.slowed.emplace_back(index, further);
  }
  const bool loaded = !(running.load == GpuLoad{});
  state.finish(stream, now_);
  if (loaded) {
    reload(rank);
  }
  start_idle(rank);
}

void EventLoop::dispatch(const QueuedEvent& event) {
  switch (event.kind) {
    case EventKind::kKernelsEnd:
      if (StreamState& stream = machine_.ranks[rank_of(event.subject)].stream(stream_of(event.subject));
          stream.running && stream.version == event.version) {
        ++stream.version;
        finish(rank_of(event.subject), stream_of(event.subject));
      }
      break;
    case EventKind::kArrive:
    case EventKind::kArriveAcross:
      arrive(rank_of(event.subject), stream_of(event.subject));
      break;
    case EventKind::kGroupStart:
      start_group(event.subject);
      break;
    case EventKind::kGroupDirect:
      flow_over(event.subject);
      break;
    case EventKind::kFlowEnd:
      if (machine_.network.end(event, part_)) {
        flow_over(machine_.group_of_flow[static_cast<std::size_t>(event.subject)]);
      }
      break;
  }
}

void EventLoop::begin(std::size_t rank) {
  machine_.ranks[rank].begin();
  start_idle(rank);
}

void EventLoop::run() {
  met_ = false;
  while (true) {
    if (machine_.network.share_before(part_.events.next_time(), now_, part_)) {
      ++shares_;
      if (machine_.sharing == LinkSharing::kNone && part_.held_up) {
        return;
      }
      continue;
    }
    if (part_.events.empty()) {
      return;
    }
    const bool at_border = reach_ == Reach::kIsland ? part_.events.next().kind == EventKind::kArriveAcross
                                                    : met_ && machine_.open_across == 0;
    if (at_border) {
      // Shares are found before others take over, though what comes next may differ from now by rounding only.
      if (machine_.network.share_before(std::numeric_limits<double>::infinity(), now_, part_)) {
        ++shares_;
        continue;
      }
      return;
    }
    const QueuedEvent event = part_.events.pop();
    now_ = std::max(now_, event.time);
    dispatch(event);
  }
}

}  // namespace trainyard
