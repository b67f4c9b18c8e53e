#include "sim/engine/column_times.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "sim/engine/issue_clock.hpp"

namespace trainyard {
namespace {

// `free`: when its stream had done all before.
inline double start_of(const RankProgram& program, const RankTimeline& rank, const Operation& operation, double free,
                       double issued) {
  if (operation.kind == OperationKind::kHostWork || operation.kind == OperationKind::kHostWait) {
    return issued - operation.run.host.value;
  }
  double ready = free;
  for (std::uint32_t w = 0; w < operation.waits; ++w) {
    ready = std::max(ready, rank.end[program.waits[operation.first_wait + w].index()]);
  }
  return operation.kind == OperationKind::kKernels ? kernels_start(operation.run, ready, issued)
                                                   : std::max(ready, issued);
}

}  // namespace

std::vector<double> issue_times(const RankProgram& program, const RankTimeline& rank) {
  std::vector<double> issued;
  issued.reserve(program.operations.size());
  double clock = 0.0;
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    clock += program.operations[i].run.host.value;
    issued.push_back(clock);
    if (program.operations[i].kind == OperationKind::kHostWait) {
      clock = rank.end[i];
    }
  }
  return issued;
}

std::vector<double> start_times(const RankProgram& program, const RankTimeline& rank) {
  if (!rank.start.empty()) {
    return rank.start;
  }
  std::array<double, kStreams> free{};
  std::vector<double> start(program.operations.size());
  double clock = 0.0;
  for (std::size_t i = 0; i < start.size(); ++i) {
    const Operation& operation = program.operations[i];
    double& of_stream = free[static_cast<std::size_t>(operation.stream)];
    clock += operation.run.host.value;
    start[i] = start_of(program, rank, operation, of_stream, clock);
    if (operation.kind == OperationKind::kHostWait) {
      clock = rank.end[i];
    } else if (operation.kind != OperationKind::kHostWork) {
      of_stream = rank.end[i];
    }
  }
  return start;
}

StartTimes::StartTimes(const RankProgram& program) : program_(program), before_(program.operations.size()) {
  std::array<std::uint32_t, kStreams> on_stream;
  on_stream.fill(kNone);
  std::uint32_t host_wait = kNone;
  double issue = 0.0;
  for (std::size_t i = 0; i < program.operations.size(); ++i) {
    const Operation& operation = program.operations[i];
    std::uint32_t& last = on_stream[static_cast<std::size_t>(operation.stream)];
    issue += operation.run.host.value;
    before_[i] = {.on_stream = last, .host_wait = host_wait, .issue = issue};
    if (operation.kind == OperationKind::kKernels || operation.kind == OperationKind::kCommunication) {
      last = static_cast<std::uint32_t>(i);
    } else if (operation.kind == OperationKind::kHostWait) {
      host_wait = static_cast<std::uint32_t>(i);
      issue = 0.0;
    }
  }
}

double StartTimes::of(const RankTimeline& rank, std::size_t operation) const {
  if (!rank.start.empty()) {
    return rank.start[operation];
  }
  const Before& before = before_[operation];
  const double resumed = before.host_wait == kNone ? 0.0 : rank.end[before.host_wait];
  const double free = before.on_stream == kNone ? 0.0 : rank.end[before.on_stream];
  return start_of(program_, rank, program_.operations[operation], free, resumed + before.issue);
}

std::vector<double> moving_times(const RankProgram& program, const RankTimeline& rank) {
  std::vector<double> moving = start_times(program, rank);
  auto next = rank.moving.begin();
  for (std::size_t i = 0; i < moving.size(); ++i) {
    if (program.operations[i].kind == OperationKind::kCommunication) {
      moving[i] = *next++;
    }
  }
  return moving;
}

double operations_in(const Timeline& timeline) {
  return std::accumulate(timeline.ranks.begin(), timeline.ranks.end(), 0.0, [](double sum, const RankTimeline& rank) {
    return sum + static_cast<double>(rank.end.size());
  });
}

}  // namespace trainyard
