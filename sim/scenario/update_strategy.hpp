#pragma once
// "strategy" of a training: how workers meet over many updates, where that is not what a program of one step says. The
// keys are the options of `trainyard converge`. A worker is a replica of the model, or several of them that train as
// one by the data parallelism of the training.
#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/scenario/synchronisation.hpp"

namespace trainyard {

struct UpdateStrategy {
  Synchronisation mode = Synchronisation::kSynchronous;
  std::int64_t workers = 1;
  std::int64_t worker_gpus = 1;
  int servers = 0;            // on the nodes of workers 0, 1, ...
  int dedicated_servers = 0;  // on nodes of their own; one where nothing is said and the mode has servers
  Sharding sharding = Sharding::kEven;
  PushUnit push = PushUnit::kWhole;
  Transport transport = Transport::kNetwork;
  int bound = 2;
  int backup = 1;
  int local_steps = 8;
  int switch_at = 0;  // half of the updates where nothing is said
  double client_share = 0.1;
  double dropout = 0.0;
  DataSizes data_sizes = DataSizes::kEqual;
  GraphKind graph = GraphKind::kRing;
  std::vector<GraphEdge> edges;  // in the place of a graph
  Compression compression;
  bool feeds_back_as_usual = true;   // nothing was said of error feedback
  std::vector<double> batch_shares;  // of the global batch, of every worker; empty: equal ones
  bool splits_by_speed = false;      // shares as the workers are fast
  int updates = 100;
  double jitter = 0.0;  // of an iteration: standard deviation of its time, of its mean
};

// A mode, or an object with the key "sync" and what the mode asks for; keys that the mode leaves no use for are
// refused. `replica` GPUs hold a model; a worker has as many where nothing else is said. Throws UserError.
UpdateStrategy read_update_strategy(const JsonReader& json, std::int64_t gpus, std::int64_t replica);

// In the schema that is read: what was chosen, not what the mode has no use for.
Json update_strategy_json(const UpdateStrategy& strategy);

// "asynchronous, 4 workers of 8 GPUs, 2 servers apart"
std::string update_strategy_text(const UpdateStrategy& strategy);

}  // namespace trainyard
