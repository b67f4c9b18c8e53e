#pragma once
// The options of `converge`, and the question that they ask.
#include <CLI/CLI.hpp>
#include <string>

#include "sim/cli/verbs.hpp"
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
  std::string updates = "100";
  std::string slowdown;
  std::string jitter = "0";
  std::string seed = "0";

  std::string compute;
  std::string parameters;
  std::string bandwidth;
  std::string latency;
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
};
WorkerSource worker_source(const ConvergeOptions& options);

}  // namespace trainyard
