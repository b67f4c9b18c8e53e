#include "sim/engine/rank_state.hpp"

#include <algorithm>

namespace trainyard {

void RankState::begin() {
  timeline_->end.assign(program_->operations.size(), 0.0);
  timeline_->moving.assign(class_streams_->communications, 0.0);
  for (const std::size_t s : class_streams_->used) {
    idle_ |= 1U << s;
  }
  host_waiting_ = clock_.issue(0.0);
  resume_host(0.0);
}

bool RankState::next_is_ready(std::size_t s) {
  StreamState& stream = streams_[s];
  if (stream.held_by != StreamState::kNobody && streams_[stream.held_by].next <= stream.held_until) {
    return false;
  }
  const std::uint32_t index = next(s);
  if (index >= clock_.issued()) {
    return false;
  }
  const Awaited awaited = awaited_by(program_->operations[index]);
  stream.held_by = awaited.stream;
  stream.held_until = awaited.position;
  return awaited.stream == StreamState::kNobody;
}

RankState::Awaited RankState::awaited_by(const Operation& operation) const {
  for (std::uint32_t w = 0; w < operation.waits; ++w) {
    const std::size_t earlier = program_->waits[operation.first_wait + w].index();
    const std::uint32_t position = class_streams_->position[earlier];
    const auto stream = static_cast<std::uint32_t>(program_->operations[earlier].stream);
    if (position != ClassStreams::kOnHost && streams_[stream].next <= position) {
      return {.stream = stream, .position = position};
    }
  }
  return {};
}

void RankState::finish(std::size_t s, double now) {
  StreamState& stream = streams_[s];
  ++stream.next;
  stream.running = false;
  stream.load = {};
  if (!at_end(s)) {
    idle_ |= 1U << s;
  }
  if (host_waiting_) {
    resume_host(now);
  }
}

bool RankState::host_may_go_on() const {
  const Operation& wait = program_->operations[clock_.issued() - 1];
  if (wait.waits > 0) {
    return awaited_by(wait).stream == StreamState::kNobody;
  }
  const auto is_over = [this](std::size_t s) {
    return !is_awaited_with_device(static_cast<StreamName>(s)) || at_end(s) || next(s) >= clock_.issued();
  };
  return std::all_of(class_streams_->used.begin(), class_streams_->used.end(), is_over);
}

void RankState::resume_host(double now) {
  while (host_waiting_ && host_may_go_on()) {
    const std::size_t wait = clock_.issued() - 1;
    clock_.write_all();
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
