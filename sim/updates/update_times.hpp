#pragma once
// What happened in many updates: what each was computed at, when it was applied, and who waited.
#include <vector>

#include "sim/base/quantity.hpp"

namespace trainyard {

// A gradient that was applied. Versions count updates of the parameters, from 0. Gradients of one version are applied
// as their mean, in one step; with local steps it is the sum of a worker's steps since the last version.
struct Update {
  Seconds time{};  // when it was applied
  int worker = 0;
  int read = 0;     // the version that it was computed at
  int applied = 0;  // the version that it was applied to
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
  int dropped = 0;              // gradients that came too late for their step
  std::vector<WorkerTimes> workers;
  std::vector<double>
      server_use;               // of each server's NIC: the busier direction's bytes of what it could move in `total`
  std::vector<Bytes> sent;      // by node: workers, then servers on nodes of their own
  std::vector<Bytes> received;  // likewise

  double updates_per_second() const { return versions / total.value; }
};

// How many updates had each staleness, from 0; of one worker, or of all where it is negative.
std::vector<int> staleness_histogram(const UpdateTimes& times, int worker = -1);
double mean_staleness(const UpdateTimes& times);
int largest_staleness(const UpdateTimes& times);

}  // namespace trainyard
