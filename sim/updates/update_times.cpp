#include "sim/updates/update_times.hpp"

#include <algorithm>

namespace trainyard {

namespace {

void count_in(std::vector<int>& histogram, const Update& update) {
  const auto staleness = static_cast<std::size_t>(update.staleness());
  histogram.resize(std::max(histogram.size(), staleness + 1));
  ++histogram[staleness];
}

}  // namespace

std::vector<int> staleness_histogram(const UpdateTimes& times) {
  std::vector<int> out;
  for (const Update& update : times.updates) {
    count_in(out, update);
  }
  return out;
}

std::vector<std::vector<int>> staleness_histograms(const UpdateTimes& times) {
  std::vector<std::vector<int>> out(times.workers.size());
  for (const Update& update : times.updates) {
    count_in(out[static_cast<std::size_t>(update.worker)], update);
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
