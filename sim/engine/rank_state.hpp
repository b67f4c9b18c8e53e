#pragma once
// One simulated rank: its host's clock, its streams and what runs on its GPU.
#include <array>
#include <vector>

#include "sim/engine/class_streams.hpp"
#include "sim/engine/gpu_load.hpp"
#include "sim/engine/issue_clock.hpp"
#include "sim/engine/quotient.hpp"

namespace trainyard {

struct StreamState {
  static constexpr std::uint32_t kNobody = 0xffffffffU;
  std::uint32_t next = 0;
  std::uint32_t version = 0;     // of the end of the running kernels
  std::int32_t outstanding = 0;  // communications of the running operation that are not over
  bool running = false;
  // Until the operation there is over on that stream of the same rank, the next one of this stream cannot start.
  std::uint32_t held_by = kNobody;
  std::uint32_t held_until = 0;
  double moving = 0.0;
  GpuLoad load;           // that the running communication puts on the GPU
  double slowness = 1.0;  // of the running kernels
  KernelProgress progress;
};

class RankState {
 public:
  RankState(const RankClass& rank, const RankProgram& program, const ClassStreams& streams, RankTimeline& timeline)
      : rank_(&rank),
        program_(&program),
        class_streams_(&streams),
        timeline_(&timeline),
        clock_(program, streams, timeline) {}
  // The host begins to issue. Makes room for the rank's times.
  void begin();
  // All is over: times of host work behind the last that runs on the device are in the timeline, too.
  void end() {
    clock_.write_all();
    timeline_->slowed.shrink_to_fit();
  }

  const RankClass& rank() const { return *rank_; }
  RankTimeline& timeline() { return *timeline_; }
  StreamState& stream(std::size_t s) { return streams_[s]; }
  const RankProgram& program() const { return *program_; }

  // Streams that run nothing and have something left, a bit each.
  std::uint32_t idle() const { return idle_; }
  void start(std::size_t s) {
    streams_[s].running = true;
    idle_ &= ~(1U << s);
  }
  bool at_end(std::size_t s) const { return streams_[s].next >= class_streams_->operations[s].size(); }
  // The next operation of a stream that has one.
  std::uint32_t next(std::size_t s) const { return class_streams_->operations[s][streams_[s].next]; }
  // Whether it is issued and what it waits for is over.
  bool next_is_ready(std::size_t s);
  // When an operation that has not begun was issued.
  double issued(std::uint32_t index) { return clock_.issued_at(index); }
  void set_moving(std::uint32_t index, double time) {
    timeline_->moving[class_streams_->among_communications[index]] = time;
  }

  // The running operation of a stream is over; a host that waited for it goes on.
  void finish(std::size_t s, double now);
  // Sum over the communications that run.
  GpuLoad load() const;

 private:
  void resume_host(double now);
  // Of what an operation waits for the first that is not over: its stream, and its place there.
  struct Awaited {
    std::uint32_t stream = StreamState::kNobody;  // where all is over
    std::uint32_t position = 0;
  };
  Awaited awaited_by(const Operation& operation) const;
  // Whether what the host wait issued last waits for is.
  bool host_may_go_on() const;

  const RankClass* rank_;
  const RankProgram* program_;
  const ClassStreams* class_streams_;
  RankTimeline* timeline_;
  IssueClock clock_;
  bool host_waiting_ = false;
  std::uint32_t idle_ = 0;
  std::array<StreamState, kStreams> streams_;
};

}  // namespace trainyard
