#include "sim/engine/column_times.hpp"

#include <numeric>

namespace trainyard {

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

std::vector<double> moving_times(const RankProgram& program, const RankTimeline& rank) {
  std::vector<double> moving = rank.start;
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
