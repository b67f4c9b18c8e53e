#pragma once
// What happened in many updates: what each was computed at, when it was applied, and who waited.
#include <vector>

#include "sim/base/quantity.hpp"

namespace trainyard {

// What a worker gave to a version. Versions count updates of the parameters, from 0; those of one version stand
// together, and what they do to the parameters says the mode's Contribution (strategy.hpp).
struct Update {
  Seconds time{};  // when it was applied
  int worker = 0;
  int read = 0;         // the version that it was computed at
  int applied = 0;      // the version that it was applied to
  int steps = 1;        // of the worker's own, since it had that version
  double weight = 1.0;  // in the mean
  int staleness() const { return applied - read; }
};

struct WorkerTimes {
  Seconds computing{};
  Seconds transferring{};  // pushing and pulling, or in the all-reduce
  Seconds waiting{};       // the rest
};

struct UpdateTimes {
  Seconds total{};              // until every worker of the last update has the parameters back
  std::vector<Update> updates;  // in the order in which they were applied
  int versions = 0;             // how often the parameters changed
  int dropped = 0;              // what came too late for its step, or never
  std::vector<WorkerTimes> workers;
  std::vector<double>
      server_use;               // of each server's NIC: the busier direction's bytes of what it could move in `total`
  std::vector<Bytes> sent;      // by node: workers, then servers on nodes of their own, where the mode has any
  std::vector<Bytes> received;  // likewise

  double updates_per_second() const { return versions / total.value; }
};

// How many updates had each staleness, from 0; of all, and of every worker.
std::vector<int> staleness_histogram(const UpdateTimes& times);
std::vector<std::vector<int>> staleness_histograms(const UpdateTimes& times);
double mean_staleness(const UpdateTimes& times);
int largest_staleness(const UpdateTimes& times);

}  // namespace trainyard
