#pragma once
// What follows from the columns of a timeline. Times are in seconds, indexed by operation.
#include <cstdint>
#include <vector>

#include "sim/engine/timeline.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

// When the rank's host had issued it: a host waits at host waits only, so its clock is a sum.
std::vector<double> issue_times(const RankProgram& program, const RankTimeline& rank);

// When each began: the stream was free, what it waits for over, and its first kernel, or the communication, issued.
// Those that the timeline holds where it does.
std::vector<double> start_times(const RankProgram& program, const RankTimeline& rank);

// The same of single operations of any rank of a class, but for rounding: what the host issues is summed up from its
// last wait.
class StartTimes {
 public:
  explicit StartTimes(const RankProgram& program);
  double of(const RankTimeline& rank, std::size_t operation) const;

 private:
  static constexpr std::uint32_t kNone = 0xffffffffU;
  // What comes before an operation: on its stream, and as a host wait.
  struct Before {
    std::uint32_t on_stream = kNone;
    std::uint32_t host_wait = kNone;
    double issue = 0.0;  // seconds that the host has issued since that wait when it has issued the operation
  };
  const RankProgram& program_;
  std::vector<Before> before_;
};

// Of a communication: when the last member had reached it; of all others: when it started.
std::vector<double> moving_times(const RankProgram& program, const RankTimeline& rank);

// Of all simulated ranks together.
double operations_in(const Timeline& timeline);

}  // namespace trainyard
