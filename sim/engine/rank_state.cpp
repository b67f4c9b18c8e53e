#include "sim/engine/rank_state.hpp"

#include <algorithm>

namespace trainyard {

ClassStreams::ClassStreams(const RankProgram& program) : position(program.operations.size(), kOnHost) {
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    if (operation.kind == OperationKind::kKernels || operation.kind == OperationKind::kCommunication) {
      std::vector<std::uint32_t>& stream = operations[static_cast<std::size_t>(operation.stream)];
      position[i] = static_cast<std::uint32_t>(stream.size());
      stream.push_back(static_cast<std::uint32_t>(i));
    }
  }
  for (std::size_t s = 0; s < kStreams; ++s) {
    if (!operations[s].empty()) {
      used.push_back(s);
    }
  }
}

bool RankState::next_is_ready(std::size_t s) const {
  const std::uint32_t index = next(s);
  if (index >= clock_.issued()) {
    return false;
  }
  return waits_are_over(program_->operations[index]);
}

bool RankState::waits_are_over(const Operation& operation) const {
  for (std::uint32_t w = 0; w < operation.waits; ++w) {
    const std::size_t earlier = program_->waits[operation.first_wait + w].index();
    const std::uint32_t position = class_streams_->position[earlier];
    if (position != ClassStreams::kOnHost &&
        streams_[static_cast<std::size_t>(program_->operations[earlier].stream)].next <= position) {
      return false;
    }
  }
  return true;
}

void RankState::finish(std::size_t s, double now) {
  StreamState& stream = streams_[s];
  ++stream.next;
  stream.running = false;
  stream.load = {};
  if (host_waiting_) {
    resume_host(now);
  }
}

bool RankState::host_may_go_on() const {
  const Operation& wait = program_->operations[clock_.issued() - 1];
  if (wait.waits > 0) {
    return waits_are_over(wait);
  }
  const auto is_over = [this](std::size_t s) { return at_end(s) || next(s) >= clock_.issued(); };
  return std::all_of(class_streams_->used.begin(), class_streams_->used.end(), is_over);
}

void RankState::resume_host(double now) {
  while (host_waiting_ && host_may_go_on()) {
    const std::size_t wait = clock_.issued() - 1;
    timeline_->end[wait] = std::max(timeline_->end[wait], now);
    host_waiting_ = clock_.issue(now);
  }
}

GpuLoad RankState::load() const {
  GpuLoad sum;
  for (const std::size_t s : class_streams_->used) {
    sum.multiprocessors += streams_[s].load.multiprocessors;
    sum.memory_rate += streams_[s].load.memory_rate;
  }
  return sum;
}

}  // namespace trainyard
