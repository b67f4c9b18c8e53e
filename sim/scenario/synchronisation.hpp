#pragma once
// How data-parallel workers may meet over many updates, who keeps the parameters, and what is sent in place of a
// gradient: the words of a question. sim/updates says what each of them does.
#include "sim/base/name_table.hpp"

namespace trainyard {

enum class Synchronisation {
  kSynchronous,       // servers take the mean of all workers' gradients, then all pull
  kBackupWorkers,     // the same of all but the last `backup` of every step, whose gradients are dropped
  kAsynchronous,      // every gradient is an update of its own; nobody waits
  kStaleSynchronous,  // the same, but nobody begins more than `bound` iterations ahead of the slowest
  kAllReduce,         // no servers: a ring all-reduce of the gradients after every iteration
  kLocalSteps,        // no servers: every `local_steps` iterations of its own a ring all-reduce of the parameters
  kPostLocal,         // kAllReduce for `switch_at` updates, kLocalSteps from there on
  kDiloco,            // as kLocalSteps; what is averaged is the gradient of an outer optimizer
  kFederated,         // a server averages the parameters of the workers (clients) that take part in a round
  kGossip,            // no servers: after every iteration a worker averages its parameters with its neighbours
};
inline constexpr NameTable<Synchronisation, 10> kSynchronisationNames{
    {{{"synchronous", Synchronisation::kSynchronous},
      {"backup-workers", Synchronisation::kBackupWorkers},
      {"asynchronous", Synchronisation::kAsynchronous},
      {"stale-synchronous", Synchronisation::kStaleSynchronous},
      {"all-reduce", Synchronisation::kAllReduce},
      {"local-steps", Synchronisation::kLocalSteps},
      {"post-local", Synchronisation::kPostLocal},
      {"diloco", Synchronisation::kDiloco},
      {"federated", Synchronisation::kFederated},
      {"gossip", Synchronisation::kGossip}}}};

// Whether the parameters are kept by servers.
constexpr bool has_servers(Synchronisation mode) {
  return mode <= Synchronisation::kStaleSynchronous || mode == Synchronisation::kFederated;
}
// Whether the optimizer runs there; the clients of a federation make steps of their own.
constexpr bool update_on_servers(Synchronisation mode) {
  return mode <= Synchronisation::kStaleSynchronous;
}
// Whether workers make several steps of their own between two versions.
constexpr bool has_local_steps(Synchronisation mode) {
  return mode >= Synchronisation::kLocalSteps && mode <= Synchronisation::kFederated;
}

enum class Sharding {
  kEven,    // every layer is cut into equal parts, one for each server
  kBySize,  // layers stay whole: the largest first, each to the server that has least
  kByHash,  // likewise, each to the server that its number's hash says
};
inline constexpr NameTable<Sharding, 3> kShardingNames{
    {{{"even", Sharding::kEven}, {"by-size", Sharding::kBySize}, {"by-hash", Sharding::kByHash}}}};
enum class PushUnit {
  kWhole,     // all at once, when the backward pass is over
  kPerLayer,  // a layer's gradient when it is made
};
inline constexpr NameTable<PushUnit, 2> kPushUnitNames{{{{"whole", PushUnit::kWhole}, {"layer", PushUnit::kPerLayer}}}};

// By what messages travel between workers and servers: as fast as the network, or through gRPC over TCP, a channel for
// each worker and server.
enum class Transport { kNetwork, kGrpc };
inline constexpr NameTable<Transport, 2> kTransportNames{
    {{{"network", Transport::kNetwork}, {"grpc", Transport::kGrpc}}}};

enum class Compressor {
  kNone,
  kFp16,
  kBf16,
  kTopK,
  kRandomK,
  kThreshold,
  kQsgd,
  kTernGrad,
  kPowerSgd,
  kOneBitAdam,
};
inline constexpr NameTable<Compressor, 10> kCompressorNames{{{{"none", Compressor::kNone},
                                                              {"fp16", Compressor::kFp16},
                                                              {"bf16", Compressor::kBf16},
                                                              {"top-k", Compressor::kTopK},
                                                              {"random-k", Compressor::kRandomK},
                                                              {"threshold", Compressor::kThreshold},
                                                              {"qsgd", Compressor::kQsgd},
                                                              {"terngrad", Compressor::kTernGrad},
                                                              {"powersgd", Compressor::kPowerSgd},
                                                              {"one-bit-adam", Compressor::kOneBitAdam}}}};

// What a message leaves out is added to the next one. Source: Karimireddy et al., "Error feedback fixes SignSGD and
// other gradient compression schemes", ICML 2019, arXiv 1901.09847.
enum class ErrorFeedback { kAbsent, kPresent };

struct Compression {
  Compressor compressor = Compressor::kNone;
  ErrorFeedback feedback = ErrorFeedback::kAbsent;
  // Share of the values that a message has: of top-k and random-k; of threshold what is expected, as bytes go.
  double kept = 0.01;
  double threshold = 1.0;  // of threshold: magnitudes below are left out
  int bits = 4;            // of qsgd, of a value with its sign: 2 or more
  int bucket = 512;        // of qsgd: values that share a norm
  int rank = 2;            // of powersgd
  int warm_up = 20;        // of one-bit-adam: updates before its variance stays as it is; they are not compressed
};

struct GraphEdge {
  int a = 0;
  int b = 0;
};

enum class GraphKind {
  kRing,
  kTorus,     // rows by columns, as square as the number of workers allows
  kComplete,  // all with all
  // Worker i with i + 1, i + 2, i + 4, ... and, as both ways are used, with i - 1, i - 2, ...
  // Source: Assran et al., "Stochastic gradient push for distributed deep learning", ICML 2019, arXiv 1811.10792.
  kExponential,
};
inline constexpr NameTable<GraphKind, 4> kGraphNames{{{{"ring", GraphKind::kRing},
                                                       {"torus", GraphKind::kTorus},
                                                       {"complete", GraphKind::kComplete},
                                                       {"exponential", GraphKind::kExponential}}}};

enum class DataSizes {
  kEqual,
  kUniform,    // from nothing to twice the mean
  kLogNormal,  // of a standard deviation as large as the mean
  kZipf,       // the k-th largest has 1 / k of the largest; which client that is, is drawn
};
inline constexpr NameTable<DataSizes, 4> kDataSizesNames{{{{"equal", DataSizes::kEqual},
                                                           {"uniform", DataSizes::kUniform},
                                                           {"log-normal", DataSizes::kLogNormal},
                                                           {"zipf", DataSizes::kZipf}}}};

}  // namespace trainyard
