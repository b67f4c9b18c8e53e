#pragma once
// The modes of synchronisation, one row each: what a mode needs, how its updates are simulated, and what they do to the
// parameters.
#include "sim/updates/update_job.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// What the updates of one version are, from which the next one is made.
enum class Contribution {
  kGradients,   // their mean is a step of one optimizer
  kLocalSteps,  // parameters after steps of every worker's own: the next version is their mean
  kOuterStep,   // likewise, but their mean change is the gradient of an outer optimizer
  kMixing,      // a step of every worker's own, after which it averages with its neighbours: nothing is common
};

struct Strategy {
  Contribution contribution = Contribution::kGradients;
  void (*check)(const UpdateJob&) = nullptr;            // of what only this mode asks for; throws UserError
  UpdateTimes (*simulate)(const UpdateJob&) = nullptr;  // of a checked job
  double (*events)(const UpdateJob&) = nullptr;         // that it takes, from above (sim/base/effort.hpp)
};
const Strategy& strategy_of(Synchronisation mode);

// Of everything: what all modes ask for, then what this one does. Throws UserError where counts or
// quantities make no sense: the flag of `trainyard converge` that gives each is named.
void check(const UpdateJob& job);

// Parameter servers: parameter_server.cpp.
void check_servers(const UpdateJob& job);
void check_backup_workers(const UpdateJob& job);
void check_stale_synchronous(const UpdateJob& job);
UpdateTimes simulate_servers(const UpdateJob& job);
UpdateTimes simulate_layerwise(const UpdateJob& job);  // synchronous steps of layers pushed and pulled each for itself
double server_events(const UpdateJob& job);

// Rounds of steps between which all meet in a ring: rings.cpp, and what is special of each in a file of its name.
void check_all_reduce(const UpdateJob& job);
UpdateTimes simulate_all_reduce(const UpdateJob& job);
double ring_events(const UpdateJob& job);
void check_local_steps(const UpdateJob& job);
UpdateTimes simulate_local_steps(const UpdateJob& job);
void check_post_local(const UpdateJob& job);
UpdateTimes simulate_post_local(const UpdateJob& job);

void check_federated(const UpdateJob& job);
UpdateTimes simulate_federated(const UpdateJob& job);
double federated_events(const UpdateJob& job);

void check_gossip(const UpdateJob& job);
UpdateTimes simulate_gossip(const UpdateJob& job);
double gossip_events(const UpdateJob& job);

// How long one iteration of a worker computes.
Seconds compute_time(const UpdateJob& job, int worker, int iteration);

}  // namespace trainyard
