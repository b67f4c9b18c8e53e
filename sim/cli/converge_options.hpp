#pragma once
// The options of `converge`, and the question that they ask.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/gpu.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/layout/layout.hpp"
#include "sim/learning/convergence.hpp"

namespace trainyard {

// As typed; empty where an option was not given and has no default.
struct ConvergeOptions {
  std::string workers;
  std::string servers;
  std::string dedicated_servers;
  std::string sync = "synchronous,asynchronous";
  std::string bound;
  std::string backup;
  std::string local_steps;
  std::string switch_at;
  std::string client_share;
  std::string dropout;
  std::string data_sizes;
  std::string secure_aggregation;
  std::string clip;
  std::string noise_multiplier;
  std::string graph;
  std::string inner_optimizer;
  std::string inner_rate;
  std::string outer_rate;
  std::string outer_momentum;
  std::string sharding;
  std::string push;
  std::string layers;
  std::string server_memory;
  std::string compress;
  std::string keep;
  std::string threshold;
  std::string bits;
  std::string bucket;
  std::string rank;
  std::string warm_up;
  std::string error_feedback;
  std::string gpu;
  std::string updates = "100";
  std::string slowdown;
  std::string jitter = "0";
  std::string seed = "0";

  std::string compute;
  std::string parameters;
  std::string bandwidth;
  std::string latency;
  std::string bandwidth_spread;
  std::string latency_spread;
  std::string bandwidth_of;
  std::string latency_of;
  std::string server_bandwidth;
  std::string model;
  std::string cluster;

  std::string problem = "quadratic";
  std::string condition;
  std::string noise;
  std::string activation;
  std::string optimizer = "sgd";
  std::string learning_rate = "0.1";
  std::string batch = "32";
  std::string target;

  std::string csv;
  std::string plot;
  JsonOutput json;

  void add_to(CLI::App& verb);
};

// Throws UserError for what cannot be, and for options that would change nothing.
ConvergenceQuestion question_of(const ConvergeOptions& options);

// Where the times of a worker come from: `compute` and its like, or `model` on one GPU of `cluster`.
struct WorkerSource {
  Seconds compute{};
  Bytes parameters{};
  Nic nic;
  std::vector<PushedLayer> layers;  // of a model
  std::optional<GpuSpec> gpu;       // of its cluster
};
WorkerSource worker_source(const ConvergeOptions& options);

// An option that none of the others leaves a use for is refused.
void refuse_idle(const std::string& flag, const std::string& typed, bool has_use, const std::string& needs);
double real_number(const std::string& flag, const std::string& typed, double least, double most);
std::vector<std::string> split_list(const std::string& text);  // at commas

// What was typed for a quantity, by one of the parsers of sim/base/quantity_text.hpp. Throws UserError.
template <class Value>
Value typed_quantity(const std::string& flag, const std::string& typed, Value (*parse)(std::string_view)) {
  try {
    return parse(typed);
  } catch (const std::invalid_argument& error) {
    throw UserError({.file = flag,
                     .found = fmt::format("\"{}\"", typed),
                     .allowed = error.what(),
                     .problem = "not a quantity of this kind"});
  }
}

// What each worker has of its own: slowdowns, and NICs drawn or given. Throws UserError.
void set_workers(const ConvergeOptions& options, UpdateJob& job);
// What only some modes ask for: refused where --sync names none of them.
void set_modes(const ConvergeOptions& options, const std::vector<Synchronisation>& modes, UpdateJob& job);
// How gradients are pushed, who keeps what of them, and how they are compressed; then what that takes the workers'
// GPUs.
void set_pushes(const ConvergeOptions& options, const WorkerSource& source, UpdateRule rule, bool any_servers,
                UpdateJob& job);
void set_gpu_work(const ConvergeOptions& options, const WorkerSource& source, int batch, UpdateJob& job);
std::optional<Privacy> privacy_options(const ConvergeOptions& options);
DilocoOptions diloco_options(const ConvergeOptions& options, const std::vector<Synchronisation>& modes,
                             double learning_rate);

}  // namespace trainyard
