#include "sim/engine/simgrid/step.hpp"

#include <algorithm>
#include <utility>

namespace trainyard {
namespace {

namespace sg = simgrid::s4u;

constexpr std::uint32_t kOnHost = 0xffffffffU;

double now() {
  return sg::Engine::get_clock();
}

bool is_on_stream(const Operation& operation) {
  return operation.kind == OperationKind::kKernels || operation.kind == OperationKind::kCommunication;
}

void sleep_until(double time) {
  if (time > now()) {
    sg::this_actor::sleep_until(time);
  }
}

}  // namespace

void SimgridActors::Waker::wait() {
  waiting = true;
  semaphore->acquire();
}

void SimgridActors::Waker::wait_until(double time) {
  waiting = true;
  semaphore->acquire_timeout(time - now());
  waiting = false;
}

void SimgridActors::Waker::wake() {
  if (std::exchange(waiting, false)) {
    semaphore->release();
  }
}

bool SimgridActors::are_over(const Rank& rank, const Operation& operation) {
  for (std::uint32_t w = 0; w < operation.waits; ++w) {
    const std::size_t earlier = rank.program->waits[operation.first_wait + w].index();
    const Operation& awaited = rank.program->operations[earlier];
    if (is_on_stream(awaited) &&
        rank.streams[static_cast<std::size_t>(awaited.stream)].over <= rank.position[earlier]) {
      return false;
    }
  }
  return true;
}

bool SimgridActors::is_drained(const Rank& rank) {
  for (std::size_t s = 0; s < kStreams; ++s) {
    const Stream& one = rank.streams[s];
    const bool is_over = one.over == one.operations.size() || one.operations[one.over] >= rank.issued;
    if (!is_over && is_awaited_with_device(static_cast<StreamName>(s))) {
      return false;
    }
  }
  return true;
}

GpuLoad SimgridActors::load_of(const Rank& rank) {
  GpuLoad sum;
  for (const Stream& one : rank.streams) {
    sum.multiprocessors += one.load.multiprocessors;
    sum.memory_rate += one.load.memory_rate;
  }
  return sum;
}

void SimgridActors::wake_all(Rank& rank) {
  for (Stream& one : rank.streams) {
    if (!one.running) {
      one.waker.wake();
    }
  }
  rank.host.wake();
}

// The load on the rank's GPU changed: kernels of its compute stream go on at another speed.
void SimgridActors::reload(Rank& rank) {
  if (Stream& compute = rank.streams[static_cast<std::size_t>(StreamName::kCompute)]; compute.in_kernels) {
    compute.waker.wake();
  }
}

// The host issues one operation after the other and stops at host waits only, so between these its clock is a sum.
void SimgridActors::host(Rank& rank) {
  double clock = 0.0;
  for (std::size_t i = 0; i < rank.program->operations.size(); ++i) {
    const Operation& operation = rank.program->operations[i];
    const double begin = clock;
    clock += operation.run.host.value;
    rank.timeline->start[i] = begin;  // the stream replaces both for what it runs: until then the end is that of issue
    rank.timeline->end[i] = clock;
    rank.issued = i + 1;
    if (operation.kind == OperationKind::kHostWait) {
      wake_all(rank);
      while (operation.waits > 0 ? !are_over(rank, operation) : !is_drained(rank)) {
        rank.host.wait();
      }
      clock = std::max(clock, now());
      rank.timeline->end[i] = clock;
    }
  }
  wake_all(rank);
}

void SimgridActors::stream(Rank& rank, std::size_t number) {
  Stream& self = rank.streams[number];
  while (self.over < self.operations.size()) {
    const std::uint32_t index = self.operations[self.over];
    const Operation& operation = rank.program->operations[index];
    while (index >= rank.issued || !are_over(rank, operation)) {
      self.waker.wait();
    }
    ++outcome_.events;
    self.running = true;
    operation.kind == OperationKind::kKernels ? kernels(rank, number, index) : communication(rank, number, index);
    self.running = false;
    ++self.over;
    wake_all(rank);
  }
}

// A run of kernels sleeps for as long as it takes. Whenever the load on its GPU changes it wakes up, takes stock of the
// share that it has done at the speed until then and sleeps for the rest at the new one.
void SimgridActors::kernels(Rank& rank, std::size_t number, std::uint32_t index) {
  Stream& self = rank.streams[number];
  const KernelRun& run = rank.program->operations[index].run;
  const double slowness = step_.kernel_slowness(*rank.rank, index);
  const double ready = now();
  const double issued = rank.timeline->end[index];
  const double begun = issued - run.host.value;
  const double start = std::max(ready, issued - run.host.value * (1.0 - 1.0 / std::max(run.kernels, 1)));
  const double device = run.device.value * slowness;
  const double alone = std::max(ready + device, begun + run.critical_at(slowness).value) - start;
  double left = 1.0;  // share of the run that was left at `since`
  double since = start;
  double end = start + alone;
  const bool listens = number == static_cast<std::size_t>(StreamName::kCompute);
  double span = alone;  // of the whole run at the present speed
  rank.timeline->start[index] = start;
  self.in_kernels = true;
  bool slowed = false;
  const auto adapt = [&] {
    const double further = slowdown(run.sensitivity, load_of(rank), rank.program->gpu) * slowness;
    if (const double changed = std::max(alone, device + further); changed != span) {
      const double at = std::max(now(), since);
      left -= span > 0.0 ? (at - since) / span : 0.0;
      since = at;
      span = changed;
      slowed = true;
      end = at + std::max(0.0, left) * span;
    }
  };
  if (!(load_of(rank) == GpuLoad{})) {
    adapt();
  }
  while (end > now()) {
    if (!listens) {
      sleep_until(end);
      break;
    }
    self.waker.wait_until(end);
    if (now() < end) {
      adapt();
    }
  }
  self.in_kernels = false;
  rank.timeline->end[index] = now();
  if (const double further = end - start - alone; slowed && further > 0.0) {
    rank.timeline->slowed.emplace_back(index, further);
  }
}

// Reaches its groups, and is over when all of their calls are. The last member to arrive starts the call.
void SimgridActors::communication(Rank& rank, std::size_t number, std::uint32_t index) {
  Stream& self = rank.streams[number];
  const Operation& operation = rank.program->operations[index];
  sleep_until(rank.timeline->end[index]);
  rank.timeline->start[index] = self.moving = now();
  self.outstanding = static_cast<std::int32_t>(operation.communications);
  std::vector<Group*> complete;
  int held = 0;
  for (std::uint32_t i = 0; i < operation.communications; ++i) {
    const CommunicationId id = rank.program->communications[operation.first_communication + i];
    Group& one = groups_[static_cast<std::size_t>(rank.rank->group_of[id.index()])];
    held = std::max(held, one.group->multiprocessors);  // calls that start together are one kernel
    one.waiting.push_back({&rank, &self});
    if (++one.arrived == one.group->participants.size()) {
      complete.push_back(&one);
    }
  }
  const bool beside_kernels = number != static_cast<std::size_t>(StreamName::kCompute);
  if (beside_kernels) {
    self.load.multiprocessors = held;
  }
  for (Group* one : complete) {
    for (const Group::Member& member : one->waiting) {
      member.stream->moving = now();
      member.stream->load.memory_rate += one->group->memory_rate.value;
    }
  }
  if (beside_kernels) {
    reload(rank);
    for (const Group* one : complete) {
      for (const Group::Member& member : one->waiting) {
        reload(*member.rank);
      }
    }
  }
  for (Group* one : complete) {
    one->complete->release();
  }
  while (self.outstanding > 0) {
    self.waker.wait();
  }
  self.load = {};
  reload(rank);
  rank.timeline->moving[rank.among_communications[index]] = self.moving;
  rank.timeline->end[index] = now();
}

void SimgridActors::group(Group& group) {
  while (true) {
    group.complete->acquire();
    const double slowness = step_.call_slowness(*group.group, group.calls++);
    sleep_until(now() + group.group->latency.value * slowness);
    std::vector<sg::CommPtr> flows;
    for (const std::int32_t number : group.group->flows) {
      const FlowClass& flow = step_.quotient.flows[static_cast<std::size_t>(number)];
      ++outcome_.events;
      if (flow.bytes.value > 0.0 && (flow.rate_limit.value > 0.0 || !flow.links.empty())) {
        flows.push_back(platform_.communication(number, flow.bytes.value * slowness));
        flows.back()->start();
      }
    }
    for (const sg::CommPtr& flow : flows) {
      flow->wait();
    }
    group.arrived = 0;
    for (const Group::Member& member : std::exchange(group.waiting, {})) {
      if (--member.stream->outstanding == 0) {
        member.stream->waker.wake();
      }
    }
  }
}

SimgridActors::SimgridActors(const SimgridStep& step, SimgridOutcome& outcome)
    : step_(step),
      outcome_(outcome),
      platform_(step),
      ranks_(step.quotient.ranks.size()),
      groups_(step.quotient.groups.size()) {
  outcome.ranks.resize(ranks_.size());
  for (std::size_t r = 0; r < ranks_.size(); ++r) {
    Rank& rank = ranks_[r];
    rank.rank = &step.quotient.ranks[r];
    rank.program = &step.program.classes[rank.rank->program_class.index()];
    rank.timeline = &outcome.ranks[r];
    const std::vector<Operation>& operations = rank.program->operations;
    *rank.timeline = {
        .rank = rank.rank->representative, .program_class = rank.rank->program_class, .multiplicity = rank.rank->count};
    rank.timeline->start.assign(operations.size(), 0.0);
    rank.timeline->end.assign(operations.size(), 0.0);
    rank.position.assign(operations.size(), kOnHost);
    std::uint32_t communications = 0;
    for (std::size_t i = 0; i < operations.size(); ++i) {
      if (is_on_stream(operations[i])) {
        std::vector<std::uint32_t>& stream = rank.streams[static_cast<std::size_t>(operations[i].stream)].operations;
        rank.position[i] = static_cast<std::uint32_t>(stream.size());
        stream.push_back(static_cast<std::uint32_t>(i));
      }
      rank.among_communications.push_back(communications);
      communications += operations[i].kind == OperationKind::kCommunication ? 1 : 0;
    }
    rank.timeline->moving.assign(communications, 0.0);
  }
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    groups_[g].group = &step.quotient.groups[g];
  }
}

void SimgridActors::run() {
  for (Group& one : groups_) {
    // A daemon ends with the last other actor.
    sg::Actor::create("group", platform_.home(), [this, &one] { group(one); })->daemonize();
  }
  for (Rank& rank : ranks_) {
    sg::Actor::create("host", platform_.home(), [this, &rank] { host(rank); });
    for (std::size_t s = 0; s < kStreams; ++s) {
      if (!rank.streams[s].operations.empty()) {
        sg::Actor::create("stream", platform_.home(), [this, &rank, s] { stream(rank, s); });
      }
    }
  }
  platform_.engine().run();
  for (const Rank& rank : ranks_) {
    for (const Stream& one : rank.streams) {
      if (one.over < one.operations.size()) {
        outcome_.blocked.push_back({.rank = rank.rank->representative,
                                    .program_class = rank.rank->program_class,
                                    .operation = OperationId::from(one.operations[one.over])});
      }
    }
  }
  for (const Group& one : groups_) {
    outcome_.calls.push_back(one.calls);
  }
}

}  // namespace trainyard

extern "C" void trainyard_simulate_in_simgrid(const trainyard::SimgridStep& step, void (*restore_signals)(),
                                              trainyard::SimgridOutcome& outcome) {
  trainyard::SimgridActors actors(step, outcome);
  restore_signals();
  actors.run();
}
