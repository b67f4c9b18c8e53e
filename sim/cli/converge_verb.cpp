#include <fmt/format.h>

#include <memory>

#include "sim/base/files.hpp"
#include "sim/base/quantity_text.hpp"
#include "sim/cli/converge_options.hpp"
#include "sim/cli/verbs.hpp"

namespace trainyard {
namespace {

std::string title_of(const ConvergeOptions& options, const ConvergenceQuestion& question) {
  return fmt::format("{} by {} workers, {} {:g}, batch {}", options.problem, question.job.workers.size(),
                     options.optimizer, question.learning.learning_rate, question.learning.batch);
}

std::string head_of(const ConvergenceQuestion& question) {
  const UpdateJob& job = question.job;
  const Worker& worker = job.workers.front();
  std::size_t beside = 0;
  for (const Server& server : job.servers) {
    beside += server.worker ? 1 : 0;
  }
  return fmt::format(
      "an iteration computes {}, {} of parameters; NICs of {} each way, latency {}\n"
      "servers: {} on workers' nodes, {} on their own; {} updates a worker\n\n",
      to_text(worker.compute), to_text(job.parameters), to_text(worker.nic.bandwidth), to_text(worker.nic.latency),
      beside, job.servers.size() - beside, job.updates);
}

Json question_json(const ConvergeOptions& options, const ConvergenceQuestion& question) {
  const UpdateJob& job = question.job;
  Json slowdowns = Json::array();
  for (const Worker& worker : job.workers) {
    slowdowns.push_back(worker.slowdown);
  }
  Json server_nodes = Json::array();
  for (const Server& server : job.servers) {
    server_nodes.push_back(server.worker ? Json(*server.worker) : Json());
  }
  return {{"workers", job.workers.size()},
          {"compute_s", job.workers.front().compute.value},
          {"slowdown", slowdowns},
          {"jitter", job.jitter},
          {"parameter_bytes", job.parameters.value},
          {"bandwidth_bytes_per_s", job.workers.front().nic.bandwidth.value},
          {"latency_s", job.workers.front().nic.latency.value},
          {"server_on_worker", server_nodes},
          {"backup", job.backup},
          {"bound", job.bound},
          {"local_steps", job.local_steps},
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
