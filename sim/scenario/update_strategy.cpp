#include "sim/scenario/update_strategy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace trainyard {
namespace {

constexpr std::int64_t kMostCount = 100'000'000;
constexpr std::int64_t kMostServers = 100'000;
constexpr double kMostIterationJitter = 10.0;
constexpr double kLeastShare = 1e-12;
constexpr std::string_view kBySpeed = "by-speed";

bool is(const UpdateStrategy& strategy, Compressor compressor) {
  return strategy.compression.compressor == compressor;
}

// A key that not every mode has a use for, and what has.
struct ModeKey {
  const char* key;
  bool (*has_use)(const UpdateStrategy&);
  const char* with;
};
constexpr const char* kWithServers = "a mode that has servers";
constexpr const char* kFederated = "federated";
constexpr const char* kKept = "compress top-k, random-k or threshold";
constexpr bool any_servers(const UpdateStrategy& s) {
  return has_servers(s.mode);
}
constexpr bool is_federated(const UpdateStrategy& s) {
  return s.mode == Synchronisation::kFederated;
}
constexpr std::array<ModeKey, 19> kModeKeys = {{
    {"servers", any_servers, kWithServers},
    {"dedicated_servers", any_servers, kWithServers},
    {"sharding", any_servers, kWithServers},
    {"push", any_servers, kWithServers},
    {"transport", any_servers, kWithServers},
    {"bound", [](const UpdateStrategy& s) { return s.mode == Synchronisation::kStaleSynchronous; },
     "stale-synchronous"},
    {"backup", [](const UpdateStrategy& s) { return s.mode == Synchronisation::kBackupWorkers; }, "backup-workers"},
    {"local_steps", [](const UpdateStrategy& s) { return has_local_steps(s.mode); }, "a mode that has local steps"},
    {"switch_at", [](const UpdateStrategy& s) { return s.mode == Synchronisation::kPostLocal; }, "post-local"},
    {"client_share", is_federated, kFederated},
    {"dropout", is_federated, kFederated},
    {"data_sizes", is_federated, kFederated},
    {"graph", [](const UpdateStrategy& s) { return s.mode == Synchronisation::kGossip; }, "gossip"},
    {"keep",
     [](const UpdateStrategy& s) {
       return is(s, Compressor::kTopK) || is(s, Compressor::kRandomK) || is(s, Compressor::kThreshold);
     },
     kKept},
    {"bits", [](const UpdateStrategy& s) { return is(s, Compressor::kQsgd); }, "compress qsgd"},
    {"bucket", [](const UpdateStrategy& s) { return is(s, Compressor::kQsgd); }, "compress qsgd"},
    {"rank", [](const UpdateStrategy& s) { return is(s, Compressor::kPowerSgd); }, "compress powersgd"},
    {"warm_up", [](const UpdateStrategy& s) { return is(s, Compressor::kOneBitAdam); }, "compress one-bit-adam"},
    {"error_feedback",
     [](const UpdateStrategy& s) { return !is(s, Compressor::kNone) && !is(s, Compressor::kOneBitAdam); },
     "a compressor that may do without"},
}};

void refuse_idle(const JsonReader& json, const UpdateStrategy& strategy) {
  for (const ModeKey& one : kModeKeys) {
    if (json.has(one.key) && !one.has_use(strategy)) {
      json.at(one.key).fail(
          fmt::format("the key would change nothing with {}", kSynchronisationNames.name_of(strategy.mode)),
          fmt::format("with {}", one.with));
    }
  }
}

int count(const JsonReader& json, std::string_view key, int otherwise, std::int64_t least, std::int64_t most) {
  const auto found = json.find(key);
  return found ? static_cast<int>(found->integer(least, most)) : otherwise;
}

double real(const JsonReader& json, std::string_view key, double otherwise, double least, double most) {
  const auto found = json.find(key);
  return found ? found->number(least, most) : otherwise;
}

void read_compression(const JsonReader& json, UpdateStrategy& strategy) {
  Compression& out = strategy.compression;
  out.kept = real(json, "keep", out.kept, kLeastShare, 1.0);
  out.bits = count(json, "bits", out.bits, 2, 32);
  out.bucket = count(json, "bucket", out.bucket, 1, kMostCount);
  out.rank = count(json, "rank", out.rank, 1, kMostCount);
  out.warm_up = count(json, "warm_up", out.warm_up, 1, kMostCount);
  if (const auto found = json.find("error_feedback")) {
    strategy.feeds_back_as_usual = false;
    out.feedback = found->boolean() ? ErrorFeedback::kPresent : ErrorFeedback::kAbsent;
  }
}

void read_graph(const JsonReader& json, std::int64_t workers, UpdateStrategy& strategy) {
  if (!json.value().is_array()) {
    strategy.graph = json.choice(kGraphNames);
    return;
  }
  if (json.elements().empty()) {
    json.fail("a graph without edges joins nobody",
              "ring, torus, complete, exponential, or [worker, worker] for each edge");
  }
  for (const JsonReader& edge : json.elements()) {
    const std::vector<JsonReader> ends = edge.elements();
    if (ends.size() != 2) {
      edge.fail("this is no edge between two workers", "[worker, worker]");
    }
    strategy.edges.push_back({.a = static_cast<int>(ends[0].integer(0, workers - 1)),
                              .b = static_cast<int>(ends[1].integer(0, workers - 1))});
  }
}

void read_shares(const JsonReader& json, std::int64_t workers, UpdateStrategy& strategy) {
  if (!json.value().is_array()) {
    if (json.text() != kBySpeed) {
      json.fail("this does not share out a batch", "\"by-speed\", or a share for every worker");
    }
    strategy.splits_by_speed = true;
    return;
  }
  for (const JsonReader& share : json.elements()) {
    strategy.batch_shares.push_back(share.number(0.0, 1.0));
  }
  if (static_cast<std::int64_t>(strategy.batch_shares.size()) != workers) {
    json.fail("every worker has a share of the batch", fmt::format("{} shares", workers));
  }
  const double sum = std::accumulate(strategy.batch_shares.begin(), strategy.batch_shares.end(), 0.0);
  constexpr double kRounding = 1e-6;
  if (std::abs(sum - 1.0) > kRounding) {
    json.fail(fmt::format("the shares sum to {:g}, so they are not all of the batch", sum), "shares that sum to 1");
  }
}

// With backup workers one at least is waited for.
void read_numbers(const JsonReader& json, std::int64_t workers, UpdateStrategy& strategy) {
  strategy.servers = count(json, "servers", 0, 1, workers);
  const bool says_servers = json.has("servers");
  strategy.dedicated_servers =
      count(json, "dedicated_servers", has_servers(strategy.mode) && !says_servers ? 1 : 0, 1, kMostServers);
  strategy.updates = count(json, "updates", strategy.updates, 1, kMostCount);
  strategy.bound = count(json, "bound", strategy.bound, 0, kMostCount);
  strategy.backup = count(json, "backup", static_cast<int>(std::min<std::int64_t>(1, workers - 1)), 0, workers - 1);
  strategy.local_steps = count(json, "local_steps", strategy.local_steps, 1, kMostCount);
  if (has_local_steps(strategy.mode) && strategy.mode != Synchronisation::kPostLocal) {
    // Whole rounds, of which the average is the same however many there are.
    strategy.updates = (strategy.updates + strategy.local_steps - 1) / strategy.local_steps * strategy.local_steps;
  }
  strategy.switch_at = count(json, "switch_at", strategy.updates / 2, 0, kMostCount);
  strategy.client_share = real(json, "client_share", strategy.client_share, kLeastShare, 1.0);
  strategy.dropout = real(json, "dropout", 0.0, 0.0, 1.0 - kLeastShare);
  strategy.jitter = real(json, "jitter", 0.0, 0.0, kMostIterationJitter);
}

}  // namespace

UpdateStrategy read_update_strategy(const JsonReader& json, std::int64_t gpus, std::int64_t replica) {
  UpdateStrategy strategy{.workers = std::max<std::int64_t>(1, gpus / replica), .worker_gpus = replica};
  if (!json.value().is_object()) {
    strategy.mode = json.choice(kSynchronisationNames);
    const Json nothing = Json::object();
    read_numbers(JsonReader(nothing, json.file(), json.pointer()), strategy.workers, strategy);
    return strategy;
  }
  json.expect_keys({"sync",      "worker_gpus", "servers", "dedicated_servers", "sharding",     "push",
                    "transport", "bound",       "backup",  "local_steps",       "switch_at",    "client_share",
                    "dropout",   "data_sizes",  "graph",   "compress",          "keep",         "bits",
                    "bucket",    "rank",        "warm_up", "error_feedback",    "batch_shares", "updates",
                    "jitter"});
  if (!json.has("sync")) {
    json.fail("nothing says how workers meet",
              "an object with the key sync (--sync): " + join_names(kSynchronisationNames.names()));
  }
  strategy.mode = json.at("sync").choice(kSynchronisationNames);
  if (const auto found = json.find("worker_gpus")) {
    strategy.worker_gpus = found->integer(replica, gpus);
    if (gpus % strategy.worker_gpus != 0 || strategy.worker_gpus % replica != 0) {
      found->fail("the GPUs make no whole number of workers of whole replicas",
                  fmt::format("a multiple of {} that divides {}", replica, gpus));
    }
    strategy.workers = gpus / strategy.worker_gpus;
  }
  const std::int64_t workers = strategy.workers;
  const auto choose = [&json](std::string_view key, const auto& names, auto& value) {
    if (const auto found = json.find(key)) {
      value = found->choice(names);
    }
  };
  choose("compress", kCompressorNames, strategy.compression.compressor);
  refuse_idle(json, strategy);
  choose("sharding", kShardingNames, strategy.sharding);
  choose("push", kPushUnitNames, strategy.push);
  choose("transport", kTransportNames, strategy.transport);
  choose("data_sizes", kDataSizesNames, strategy.data_sizes);
  read_numbers(json, workers, strategy);
  read_compression(json, strategy);
  if (const auto found = json.find("graph")) {
    read_graph(*found, workers, strategy);
  }
  if (const auto found = json.find("batch_shares")) {
    read_shares(*found, workers, strategy);
  }
  return strategy;
}

Json update_strategy_json(const UpdateStrategy& strategy) {
  Json edges = Json::array();
  for (const GraphEdge& edge : strategy.edges) {
    edges.push_back({edge.a, edge.b});
  }
  const Compression& compression = strategy.compression;
  Json all = {{"servers", strategy.servers},
              {"dedicated_servers", strategy.dedicated_servers},
              {"sharding", kShardingNames.name_of(strategy.sharding)},
              {"push", kPushUnitNames.name_of(strategy.push)},
              {"transport", kTransportNames.name_of(strategy.transport)},
              {"bound", strategy.bound},
              {"backup", strategy.backup},
              {"local_steps", strategy.local_steps},
              {"switch_at", strategy.switch_at},
              {"client_share", strategy.client_share},
              {"dropout", strategy.dropout},
              {"data_sizes", kDataSizesNames.name_of(strategy.data_sizes)},
              {"graph", strategy.edges.empty() ? Json(kGraphNames.name_of(strategy.graph)) : edges},
              {"keep", compression.kept},
              {"bits", compression.bits},
              {"bucket", compression.bucket},
              {"rank", compression.rank},
              {"warm_up", compression.warm_up}};
  if (strategy.servers == 0) {
    all.erase("servers");
  }
  if (strategy.dedicated_servers == 0) {
    all.erase("dedicated_servers");
  }
  if (!strategy.feeds_back_as_usual) {
    all["error_feedback"] = compression.feedback == ErrorFeedback::kPresent;
  }
  for (const ModeKey& one : kModeKeys) {
    if (!one.has_use(strategy)) {
      all.erase(one.key);
    }
  }
  all["worker_gpus"] = strategy.worker_gpus;
  all["sync"] = kSynchronisationNames.name_of(strategy.mode);
  all["compress"] = kCompressorNames.name_of(compression.compressor);
  all["updates"] = strategy.updates;
  all["jitter"] = strategy.jitter;
  if (strategy.splits_by_speed) {
    all["batch_shares"] = kBySpeed;
  } else if (!strategy.batch_shares.empty()) {
    all["batch_shares"] = strategy.batch_shares;
  }
  return all;
}

namespace {

std::string counted(std::int64_t count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

}  // namespace

std::string update_strategy_text(const UpdateStrategy& strategy) {
  std::string out = fmt::format("{}, {} of {}", kSynchronisationNames.name_of(strategy.mode),
                                counted(strategy.workers, "worker"), counted(strategy.worker_gpus, "GPU"));
  const auto add = [&out](const std::string& part) { out += ", " + part; };
  if (strategy.servers > 0) {
    add(counted(strategy.servers, "server") + " beside workers");
  }
  if (strategy.dedicated_servers > 0) {
    add(counted(strategy.dedicated_servers, "server") + " apart");
  }
  if (strategy.transport == Transport::kGrpc) {
    add("gRPC");
  }
  if (strategy.mode == Synchronisation::kStaleSynchronous) {
    add(fmt::format("at most {} iterations ahead", strategy.bound));
  }
  if (strategy.mode == Synchronisation::kBackupWorkers) {
    add(fmt::format("{} not waited for", strategy.backup));
  }
  if (has_local_steps(strategy.mode)) {
    add(counted(strategy.local_steps, "local step"));
  }
  if (strategy.mode == Synchronisation::kFederated) {
    add(fmt::format("{:.4g} % of the clients in a round", strategy.client_share * 100.0));
  }
  if (!is(strategy, Compressor::kNone)) {
    add(fmt::format("{} pushed", kCompressorNames.name_of(strategy.compression.compressor)));
  }
  return out;
}

}  // namespace trainyard
