#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <memory>

#include "sim/base/files.hpp"
#include "sim/base/quantity_text.hpp"
#include "sim/cli/converge_options.hpp"
#include "sim/cli/verbs.hpp"
#include "sim/updates/pushed.hpp"
#include "sim/updates/shards.hpp"

namespace trainyard {
namespace {

std::string title_of(const ConvergeOptions& options, const ConvergenceQuestion& question) {
  return fmt::format("{} by {} workers, {} {:g}, batch {}", options.problem, question.job.workers.size(),
                     options.optimizer, question.learning.learning_rate, question.learning.batch);
}

template <class Value>
std::string range_text(Value least, Value most) {
  return least == most ? to_text(least) : fmt::format("{} to {}", to_text(least), to_text(most));
}

// What is pushed in place of the gradient, and what that takes; empty where it is pushed as it is.
std::string pushes_text(const UpdateJob& job) {
  if (job.compression.compressor == Compressor::kNone) {
    return "";
  }
  const int late = std::numeric_limits<int>::max();
  return fmt::format("pushed: {} of {}{}, encoded in {}, decoded in {}\n",
                     to_text(job.parameters * pushed_share(job, late)),
                     kCompressorNames.name_of(job.compression.compressor),
                     job.compression.feedback == ErrorFeedback::kPresent ? " with error feedback" : "",
                     to_text(job.message.encode), to_text(job.message.decode));
}

// Empty where nothing is hidden.
std::string privacy_text(const ConvergenceQuestion& question) {
  const UpdateJob& job = question.job;
  std::string out;
  if (question.learning.privacy) {
    out += fmt::format(
        "private: gradients of samples cut to {:g}, which takes {}, noise of {:g} times that on their sum\n",
        question.learning.privacy->clip, to_text(job.clipping), question.learning.privacy->noise_multiplier);
  }
  if (job.federation.mask_rate) {
    out += fmt::format("secure aggregation: masks made at {}\n", to_text(*job.federation.mask_rate));
  }
  return out;
}

std::string head_of(const ConvergenceQuestion& question) {
  const UpdateJob& job = question.job;
  Nic least = job.workers.front().nic;
  Nic most = least;
  for (const Worker& worker : job.workers) {
    least = {min(least.bandwidth, worker.nic.bandwidth), min(least.latency, worker.nic.latency)};
    most = {max(most.bandwidth, worker.nic.bandwidth), max(most.latency, worker.nic.latency)};
  }
  std::size_t beside = 0;
  for (const Server& server : job.servers) {
    beside += server.worker ? 1 : 0;
  }
  const std::string largest =
      job.sharding == Sharding::kEven
          ? ""
          : fmt::format("the largest keeps {:.1f} % of the parameters\n", largest_shard(job) * 100.0);
  return fmt::format(
      "an iteration computes {}, {} of parameters; NICs of {} each way, latency {}\n"
      "servers: {} on workers' nodes, {} on their own, {}; {} updates a worker\n{}{}\n",
      to_text(job.workers.front().compute), to_text(job.parameters), range_text(least.bandwidth, most.bandwidth),
      range_text(least.latency, most.latency), beside, job.servers.size() - beside,
      std::isinf(job.server_memory.value) ? std::string("updates for nothing")
                                          : "memory of " + to_text(job.server_memory),
      job.updates, largest, pushes_text(job) + privacy_text(question));
}

Json compression_json(const UpdateJob& job) {
  const Compression& asked = job.compression;
  return {{"compressor", kCompressorNames.name_of(asked.compressor)},
          {"error_feedback", asked.feedback == ErrorFeedback::kPresent},
          {"keep", asked.kept},
          {"threshold", asked.threshold},
          {"bits", asked.bits},
          {"bucket", asked.bucket},
          {"rank", asked.rank},
          {"warm_up", asked.warm_up},
          {"pushed_bytes", job.parameters.value * pushed_share(job, std::numeric_limits<int>::max())},
          {"encode_s", job.message.encode.value},
          {"decode_s", job.message.decode.value}};
}

Json question_json(const ConvergeOptions& options, const ConvergenceQuestion& question) {
  const UpdateJob& job = question.job;
  const auto of_workers = [&](double (*value)(const Worker&)) {
    Json out = Json::array();
    for (const Worker& worker : job.workers) {
      out.push_back(value(worker));
    }
    return out;
  };
  Json server_nodes = Json::array();
  for (const Server& server : job.servers) {
    server_nodes.push_back(server.worker ? Json(*server.worker) : Json());
  }
  Json edges = Json::array();
  for (const GraphEdge& edge : job.edges) {
    edges.push_back({edge.a, edge.b});
  }
  const std::optional<Privacy>& privacy = question.learning.privacy;
  Json layers = Json::array();
  for (const PushedLayer& layer : job.layers) {
    layers.push_back({{"share", layer.share}, {"ready", layer.ready}});
  }
  return {{"workers", job.workers.size()},
          {"compute_s", job.workers.front().compute.value},
          {"slowdown", of_workers([](const Worker& worker) { return worker.slowdown; })},
          {"jitter", job.jitter},
          {"parameter_bytes", job.parameters.value},
          {"bandwidth_bytes_per_s", of_workers([](const Worker& worker) { return worker.nic.bandwidth.value; })},
          {"latency_s", of_workers([](const Worker& worker) { return worker.nic.latency.value; })},
          {"edges", edges},
          {"layers", layers},
          {"sharding", kShardingNames.name_of(job.sharding)},
          {"push", kPushUnitNames.name_of(job.push_unit)},
          {"largest_shard", largest_shard(job)},
          {"server_memory_bytes_per_s", std::isinf(job.server_memory.value) ? Json() : Json(job.server_memory.value)},
          {"compression", compression_json(job)},
          {"server_on_worker", server_nodes},
          {"backup", job.backup},
          {"bound", job.bound},
          {"local_steps", job.local_steps},
          {"switch_at", job.switch_at},
          {"client_share", job.federation.share},
          {"dropout", job.federation.dropout},
          {"data_sizes", job.federation.data},
          {"mask_rate_bytes_per_s", job.federation.mask_rate ? Json(job.federation.mask_rate->value) : Json()},
          {"clip", privacy ? Json(privacy->clip) : Json()},
          {"noise_multiplier", privacy ? Json(privacy->noise_multiplier) : Json()},
          {"clipping_s", job.clipping.value},
          {"inner_optimizer", kUpdateRuleNames.name_of(question.learning.diloco.inner_rule)},
          {"inner_rate", question.learning.diloco.inner_rate},
          {"outer_rate", question.learning.diloco.outer_rate},
          {"outer_momentum", question.learning.diloco.outer_momentum},
          {"updates", job.updates},
          {"problem", options.problem},
          {"optimizer", options.optimizer},
          {"learning_rate", question.learning.learning_rate},
          {"batch", question.learning.batch},
          {"seed", job.seed}};
}

void show_convergence(const ConvergeOptions& options) {
  const ConvergenceQuestion question = question_of(options);
  check_outputs({options.json.option(), {"--csv", options.csv}, {"--plot", options.plot}});
  const std::vector<ModeOutcome> outcomes = converge(question);
  const std::string title = title_of(options, question);
  if (!options.csv.empty()) {
    write_file(options.csv, convergence_csv(outcomes));
  }
  if (!options.plot.empty()) {
    write_file(options.plot, draw_convergence(title, outcomes));
  }
  if (!options.json.to_stdout()) {
    print_text("{}\n{}{}", title, head_of(question), convergence_text(question, outcomes));
  }
  options.json.write({{"modes", convergence_json(outcomes)}, {"question", question_json(options, question)}});
}

}  // namespace

void add_converge_verb(CLI::App& app) {
  auto options = std::make_shared<ConvergeOptions>();
  CLI::App* verb = app.add_subcommand(
      "converge", "data-parallel workers in several modes: time, staleness and a real small optimisation");
  options->add_to(*verb);
  verb->footer(
      "example: trainyard converge --workers 8 --compute \"100 ms\" --parameters \"102 MB\" --bandwidth \"10 Gb/s\" "
      "--sync synchronous,asynchronous --slowdown 3=2.5");
  verb->callback([options] { show_convergence(*options); });
}

}  // namespace trainyard
