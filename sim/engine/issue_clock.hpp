#pragma once
// The host thread of one rank. It never waits except at kHostWait, so between waits its clock is arithmetic: no event
// is needed to launch a kernel.
#include <cstddef>

#include "sim/engine/class_streams.hpp"
#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// Until an operation begins its place in the timeline's column of ends holds when it was issued. That is written when
// somebody asks, so that a host which issues a whole step at once does not walk through memory long before its device.
class IssueClock {
 public:
  IssueClock(const RankProgram& program, const ClassStreams& streams, RankTimeline& timeline)
      : program_(&program), streams_(&streams), timeline_(&timeline) {}

  // Issues operations up to and including the next host wait; all issued before are written. The host resumes at `now`
  // at the earliest. Returns whether it stopped at a host wait (else the program is issued completely).
  bool issue(double now) {
    clock_ = clock_ < now ? now : clock_;
    if (next_wait_ == streams_->host_waits.size()) {
      issued_ = program_->operations.size();
      return false;
    }
    issued_ = streams_->host_waits[next_wait_++] + 1;
    return true;
  }

  std::size_t issued() const { return issued_; }  // operations below this number are issued
  // When an issued operation that has not begun was issued.
  double issued_at(std::size_t operation) {
    write(operation + 1);
    return timeline_->end[operation];
  }
  void write_all() { write(issued_); }

 private:
  void write(std::size_t until) {
    for (; written_ < until; ++written_) {
      clock_ += program_->operations[written_].run.host.value;
      timeline_->end[written_] = clock_;
    }
  }

  const RankProgram* program_;
  const ClassStreams* streams_;
  RankTimeline* timeline_;
  std::size_t issued_ = 0;
  std::size_t written_ = 0;
  std::size_t next_wait_ = 0;
  double clock_ = 0.0;  // when the host has issued what is written
};

// When a run that became free at `ready` (stream and waits) ends on an idle device, whose kernels take `slowness` times
// as long.
inline double kernels_end(const KernelRun& run, double slowness, double ready, double issued) {
  const double begun_issuing = issued - run.host.value;
  const double by_device = ready + run.device.value * slowness;
  const double by_host = begun_issuing + run.critical_at(slowness).value;
  return by_device > by_host ? by_device : by_host;
}

// When its first kernel starts: not before it is issued. With k kernels of equal host cost that is after 1/k of the
// issue.
inline double kernels_start(const KernelRun& run, double ready, double issued) {
  const double kernels = run.kernels > 0 ? run.kernels : 1;
  const double first_issued = issued - run.host.value * (1.0 - 1.0 / kernels);
  return ready > first_issued ? ready : first_issued;
}

}  // namespace trainyard
