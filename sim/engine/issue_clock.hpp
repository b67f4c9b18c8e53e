#pragma once
// The host thread of one rank. It never waits except at kHostWait, so between waits its clock is arithmetic: no event
// is needed to launch a kernel.
#include <cstdint>
#include <vector>

#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

class IssueClock {
 public:
  IssueClock(const RankProgram& program, RankTimeline& timeline) : program_(&program), timeline_(&timeline) {}

  // Issues operations up to and including the next host wait. The host resumes at `now` at the earliest. Returns
  // whether it stopped at a host wait (else the program is issued completely).
  bool issue(double now) {
    clock_ = clock_ < now ? now : clock_;
    while (next_ < program_->operations.size()) {
      const Operation& operation = program_->operations[next_];
      begin_ = clock_;
      clock_ += operation.run.host.value;
      timeline_->issued[next_] = clock_;
      timeline_->start[next_] = begin_;  // the stream replaces it for what runs on the device
      timeline_->moving[next_] = begin_;
      timeline_->end[next_] = clock_;
      ++next_;
      if (operation.kind == OperationKind::kHostWait) {
        return true;
      }
    }
    return false;
  }

  std::size_t issued() const { return next_; }  // operations below this number are issued
  double clock() const { return clock_; }

 private:
  const RankProgram* program_;
  RankTimeline* timeline_;
  std::size_t next_ = 0;
  double clock_ = 0.0;
  double begin_ = 0.0;
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
