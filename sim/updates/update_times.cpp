#include "sim/updates/update_times.hpp"

#include <algorithm>

namespace trainyard {

std::vector<int> staleness_histogram(const UpdateTimes& times, int worker) {
  std::vector<int> out;
  for (const Update& update : times.updates) {
    if (worker < 0 || update.worker == worker) {
      const auto staleness = static_cast<std::size_t>(update.staleness());
      out.resize(std::max(out.size(), staleness + 1));
      ++out[staleness];
    }
  }
  return out;
}

double mean_staleness(const UpdateTimes& times) {
  double sum = 0.0;
  for (const Update& update : times.updates) {
    sum += update.staleness();
  }
  return times.updates.empty() ? 0.0 : sum / static_cast<double>(times.updates.size());
}

int largest_staleness(const UpdateTimes& times) {
  int largest = 0;
  for (const Update& update : times.updates) {
    largest = std::max(largest, update.staleness());
  }
  return largest;
}

}  // namespace trainyard
