#pragma once
// What many updates of data-parallel workers are asked of: who computes how fast, who keeps the parameters, behind
// which NICs, and who waits for whom.
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/scenario/synchronisation.hpp"
#include "sim/updates/compressors/compression.hpp"
#include "sim/updates/worker_graph.hpp"

namespace trainyard {

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

// Keeps a part of the parameters.
struct Server {
  std::optional<int> worker;  // whose node it is on: to that worker bytes move for nothing
  Nic nic;                    // of its own node, where it has one
};

// A layer's parameters, in the order in which the backward pass makes their gradients.
struct PushedLayer {
  double share = 0.0;  // of all parameters; shares sum to one
  double ready = 1.0;  // of the time of an iteration, when its gradient is made; does not fall, the last one is 1
};
// Of kFederated. Source: McMahan et al., "Communication-efficient learning of deep networks from decentralized data",
// AISTATS 2017, arXiv 1602.05629.
struct Federation {
  double share = 0.1;        // of the clients, drawn anew for every round; one client at least
  double dropout = 0.0;      // chance that a client of a round never answers
  std::vector<double> data;  // samples of each client, in any unit; empty: all alike
  // With secure aggregation (secure_aggregation.hpp): what clients and server make of pseudo-random masks in a second.
  std::optional<BytesPerSecond> mask_rate;
};

// Source: twelve channels of DDR4-2666 in two sockets (Intel Xeon Scalable, first generation), 256 GB/s nominal; four
// fifths of it.
inline constexpr BytesPerSecond kUsualServerMemory = 200_GBps;

struct UpdateJob {
  std::vector<Worker> workers;
  std::vector<Server> servers;
  Bytes parameters{};               // what a worker pushes, and pulls, in an iteration
  std::vector<PushedLayer> layers;  // empty: one of everything
  Sharding sharding = Sharding::kEven;
  PushUnit push_unit = PushUnit::kWhole;
  // What a server's memory moves in a second while it adds gradients up and applies them: infinite where that takes no
  // time. An update reads and writes so many bytes for each byte of parameters.
  BytesPerSecond server_memory{std::numeric_limits<double>::infinity()};
  double update_traffic = 3.0;
  Compression compression;  // of what is pushed; parameters are pulled whole
  MessageTimes message;     // of a worker's GPU
  Seconds clipping{};       // of an iteration, beside its computing: gradients of single samples are clipped
  Synchronisation mode = Synchronisation::kSynchronous;
  int backup = 0;       // of kBackupWorkers: 0 to workers - 1
  int bound = 0;        // of kStaleSynchronous: 0 or more; 0 waits for all
  int local_steps = 1;  // where has_local_steps: 1 or more
  int switch_at = 0;    // of kPostLocal: 0 or more
  Federation federation;
  std::vector<GraphEdge> edges;  // of kGossip: who is whose neighbour
  // Iterations of every worker (of every client, in the rounds that it takes part in), where they meet; else as many
  // gradients as workers times this.
  int updates = 1;
  double jitter = 0.0;  // standard deviation of an iteration's time, of its mean: log-normal, drawn for each
  std::uint64_t seed = 0;
};

}  // namespace trainyard
