#pragma once
// What many updates of data-parallel workers are asked of: who computes how fast, who keeps the parameters, behind
// which NICs, and who waits for whom.
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/base/name_table.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

enum class Synchronisation {
  kSynchronous,       // servers take the mean of all workers' gradients, then all pull
  kBackupWorkers,     // the same of all but the last `backup` of every step, whose gradients are dropped
  kAsynchronous,      // every gradient is an update of its own; nobody waits
  kStaleSynchronous,  // the same, but nobody begins more than `bound` iterations ahead of the slowest
  kAllReduce,         // no servers: a ring all-reduce of the gradients after every iteration
  kLocalSteps,        // no servers: every `local_steps` iterations of its own a ring all-reduce of the parameters
};
inline constexpr NameTable<Synchronisation, 6> kSynchronisationNames{
    {{{"synchronous", Synchronisation::kSynchronous},
      {"backup-workers", Synchronisation::kBackupWorkers},
      {"asynchronous", Synchronisation::kAsynchronous},
      {"stale-synchronous", Synchronisation::kStaleSynchronous},
      {"all-reduce", Synchronisation::kAllReduce},
      {"local-steps", Synchronisation::kLocalSteps}}}};

// Whether the parameters are kept by servers.
constexpr bool has_servers(Synchronisation mode) {
  return mode != Synchronisation::kAllReduce && mode != Synchronisation::kLocalSteps;
}

// Of a node, to a network that holds nobody up: the same rate each way at the same time.
struct Nic {
  BytesPerSecond bandwidth{};
  Seconds latency{};  // a message takes the larger one of its two ends
};

struct Worker {
  Seconds compute{};      // of one iteration: forward and backward pass of its mini-batch
  double slowdown = 1.0;  // times as long
  Nic nic;
};

// Keeps an equal share of the parameters.
struct Server {
  std::optional<int> worker;  // whose node it is on: to that worker bytes move for nothing
  Nic nic;                    // of its own node, where it has one
};

struct UpdateJob {
  std::vector<Worker> workers;
  std::vector<Server> servers;
  Bytes parameters{};  // what a worker pushes, and pulls, in an iteration
  Synchronisation mode = Synchronisation::kSynchronous;
  int backup = 0;       // of kBackupWorkers: 0 to workers - 1
  int bound = 0;        // of kStaleSynchronous: 0 or more; 0 waits for all
  int local_steps = 1;  // of kLocalSteps: 1 or more
  int updates = 1;      // steps where gradients are averaged; else as many gradients as workers times this
  double jitter = 0.0;  // standard deviation of an iteration's time, of its mean: log-normal, drawn for each
  std::uint64_t seed = 0;
};

// Throws UserError where counts or quantities make no sense: the flag of `trainyard converge` that gives each is named.
void check(const UpdateJob& job);

}  // namespace trainyard
