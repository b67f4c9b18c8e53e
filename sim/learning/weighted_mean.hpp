#pragma once
// The mean of what the updates of a version give.
#include <span>
#include <vector>

#include "sim/learning/problem.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// By the updates' weights, in their order; one update at least.
inline Parameters weighted_mean(std::span<const Update> step, const std::vector<Parameters>& given) {
  double weights = 0.0;
  for (const Update& update : step) {
    weights += update.weight;
  }
  Parameters out(given.front().size());
  for (std::size_t u = 0; u < step.size(); ++u) {
    const double share = step[u].weight / weights;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] += given[u][i] * share;
    }
  }
  return out;
}

}  // namespace trainyard
