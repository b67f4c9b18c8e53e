#include "sim/cli/converge_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace trainyard {
namespace {

constexpr int kMostWorkers = 100'000;
constexpr int kMostUpdates = 100'000'000;
constexpr int kMostBatch = 1'000'000;
constexpr double kMostReal = 1e12;

enum class ProblemKind { kQuadratic, kLogistic, kPerceptron };
constexpr NameTable<ProblemKind, 3> kProblemNames{{{{"quadratic", ProblemKind::kQuadratic},
                                                    {"logistic", ProblemKind::kLogistic},
                                                    {"perceptron", ProblemKind::kPerceptron}}}};

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c == ',') {
      out.emplace_back();
    } else {
      out.back() += c;
    }
  }
  return out;
}

double real_number(const std::string& flag, const std::string& typed, double least, double most) {
  double value = 0.0;
  const char* const end = typed.data() + typed.size();
  const auto [rest, error] = std::from_chars(typed.data(), end, value);
  if (error != std::errc() || rest != end || !(value >= least && value <= most)) {
    throw UserError(
        {.file = flag,
         .found = fmt::format("\"{}\"", typed),
         .allowed = fmt::format("{:g} to {:g}", least, most),
         .problem = error == std::errc() && rest == end ? "the number is out of range" : "expected a number"});
  }
  return value;
}

std::vector<Synchronisation> modes_of(const std::string& list) {
  std::vector<Synchronisation> out;
  for (const std::string& name : split_list(list)) {
    const Synchronisation mode = named_choice("--sync", name, kSynchronisationNames);
    if (std::find(out.begin(), out.end(), mode) != out.end()) {
      throw UserError({.file = "--sync",
                       .found = list,
                       .allowed = "every mode once",
                       .problem = fmt::format("{} is named twice", name)});
    }
    out.push_back(mode);
  }
  return out;
}

// An option that none of the others leaves a use for.
void refuse_idle(const std::string& flag, const std::string& typed, bool has_use, const std::string& needs) {
  if (!typed.empty() && !has_use) {
    throw UserError({.file = flag,
                     .found = typed,
                     .allowed = fmt::format("with {}", needs),
                     .problem = "the option would change nothing",
                     .remedy = fmt::format("leave it out, or add {}", needs)});
  }
}

// "0=2,3=1.5"
void slow_down(const std::string& list, std::vector<Worker>& workers) {
  if (list.empty()) {
    return;
  }
  const int last = static_cast<int>(workers.size()) - 1;
  std::vector<bool> is_named(workers.size());
  for (const std::string& one : split_list(list)) {
    const std::size_t equals = one.find('=');
    if (equals == std::string::npos) {
      throw UserError({.file = "--slowdown",
                       .found = one,
                       .allowed = "worker=factor, as 3=2.5, with commas between several",
                       .problem = "this is no worker and its factor"});
    }
    const auto worker = static_cast<std::size_t>(whole_number("--slowdown", one.substr(0, equals), 0, last));
    if (is_named[worker]) {
      throw UserError({.file = "--slowdown",
                       .found = list,
                       .allowed = "every worker once",
                       .problem = fmt::format("worker {} is named twice", worker)});
    }
    is_named[worker] = true;
    workers[worker].slowdown = real_number("--slowdown", one.substr(equals + 1), 1e-6, 1e6);
  }
}

// One on a node of its own where nothing is said.
std::vector<Server> servers_of(const ConvergeOptions& options, int workers, const Nic& nic) {
  std::vector<Server> out;
  if (!options.servers.empty()) {
    const int beside = whole_number("--servers", options.servers, 1, workers);
    for (int worker = 0; worker < beside; ++worker) {
      out.push_back({.worker = worker});
    }
  }
  if (!options.dedicated_servers.empty() || options.servers.empty()) {
    const std::string& typed = options.dedicated_servers;
    const int apart = typed.empty() ? 1 : whole_number("--dedicated-servers", typed, 1, kMostWorkers);
    out.insert(out.end(), static_cast<std::size_t>(apart), {.nic = nic});
  }
  return out;
}

UpdateJob job_of(const ConvergeOptions& options, const std::vector<Synchronisation>& modes) {
  const auto asks = [&](Synchronisation mode) { return std::find(modes.begin(), modes.end(), mode) != modes.end(); };
  const bool any_servers = std::any_of(modes.begin(), modes.end(), has_servers);
  refuse_idle("--bound", options.bound, asks(Synchronisation::kStaleSynchronous), "--sync stale-synchronous");
  refuse_idle("--backup", options.backup, asks(Synchronisation::kBackupWorkers), "--sync backup-workers");
  refuse_idle("--local-steps", options.local_steps, asks(Synchronisation::kLocalSteps), "--sync local-steps");
  refuse_idle("--servers", options.servers, any_servers, "a mode of --sync that has servers");
  refuse_idle("--dedicated-servers", options.dedicated_servers, any_servers, "a mode of --sync that has servers");
  const int workers = whole_number("--workers", options.workers, 1, kMostWorkers);
  UpdateJob job;
  job.updates = whole_number("--updates", options.updates, 1, kMostUpdates);
  job.jitter = real_number("--jitter", options.jitter, 0.0, 10.0);
  job.seed = static_cast<std::uint64_t>(whole_number("--seed", options.seed, 0, std::numeric_limits<int>::max()));
  job.bound = options.bound.empty() ? 2 : whole_number("--bound", options.bound, 0, kMostUpdates);
  job.local_steps =
      options.local_steps.empty() ? 8 : whole_number("--local-steps", options.local_steps, 1, kMostUpdates);
  if (asks(Synchronisation::kBackupWorkers)) {
    job.backup = whole_number("--backup", options.backup.empty() ? "1" : options.backup, 0, workers - 1);
  }
  const WorkerSource source = worker_source(options);
  job.parameters = source.parameters;
  job.workers.assign(static_cast<std::size_t>(workers), {.compute = source.compute, .nic = source.nic});
  slow_down(options.slowdown, job.workers);
  job.servers = servers_of(options, workers, source.nic);
  return job;
}

void set_problem(const ConvergeOptions& options, ConvergenceQuestion& question) {
  const ProblemKind kind = named_choice("--problem", options.problem, kProblemNames);
  refuse_idle("--condition", options.condition, kind == ProblemKind::kQuadratic, "--problem quadratic");
  refuse_idle("--noise", options.noise, kind == ProblemKind::kQuadratic, "--problem quadratic");
  refuse_idle("--activation", options.activation, kind == ProblemKind::kPerceptron, "--problem perceptron");
  if (kind == ProblemKind::kQuadratic) {
    question.quadratic = Quadratic{};
    if (!options.condition.empty()) {
      question.quadratic->condition = real_number("--condition", options.condition, 1.0, kMostReal);
    }
    if (!options.noise.empty()) {
      question.quadratic->noise = real_number("--noise", options.noise, 0.0, kMostReal);
    }
    question.problem = make_problem(*question.quadratic);
    return;
  }
  Classifier classifier{.seed = question.job.seed};
  if (kind == ProblemKind::kLogistic) {
    classifier.layers = {10, 2};
  } else if (!options.activation.empty()) {
    classifier.activation = named_choice("--activation", options.activation, kHiddenActivationNames);
  }
  question.problem = make_problem(classifier);
}

}  // namespace

ConvergenceQuestion question_of(const ConvergeOptions& options) {
  ConvergenceQuestion question;
  question.modes = modes_of(options.sync);
  question.learning.rule = named_choice("--optimizer", options.optimizer, kUpdateRuleNames);
  question.learning.learning_rate = real_number("--learning-rate", options.learning_rate, 1e-12, kMostReal);
  question.learning.batch = whole_number("--batch", options.batch, 1, kMostBatch);
  question.job = job_of(options, question.modes);
  question.learning.seed = question.job.seed;
  set_problem(options, question);
  if (!options.target.empty()) {
    question.target = real_number("--target", options.target, 0.0, kMostReal);
  }
  return question;
}

void ConvergeOptions::add_to(CLI::App& verb) {
  verb.add_option("--workers", workers, "number of workers")->required();
  verb.add_option("--servers", servers, "parameter servers on the nodes of workers 0, 1, ...");
  verb.add_option("--dedicated-servers", dedicated_servers,
                  "parameter servers on nodes of their own (default: 1, without --servers)");
  verb.add_option("--sync", sync,
                  "modes to compare, with commas: synchronous, backup-workers, asynchronous, stale-synchronous, "
                  "all-reduce, local-steps (default: " +
                      sync + ")");
  verb.add_option("--bound", bound, "stale-synchronous: most iterations ahead of the slowest (default 2)");
  verb.add_option("--backup", backup, "backup-workers: how many gradients of a step are not waited for (default 1)");
  verb.add_option("--local-steps", local_steps, "local-steps: iterations between two all-reduces (default 8)");
  verb.add_option("--updates", updates, "iterations of a worker, on average (default " + updates + ")");
  verb.add_option("--slowdown", slowdown, "slower workers, as 0=2,3=1.5");
  verb.add_option("--jitter", jitter, "standard deviation of an iteration's time, of its mean (default 0)");
  verb.add_option("--seed", seed, "seed of jitter, samples and noise (default 0)");
  verb.add_option("--compute", compute, "time of an iteration, as \"100 ms\"");
  verb.add_option("--parameters", parameters, "bytes that are pushed and pulled, as \"102 MB\"");
  verb.add_option("--bandwidth", bandwidth, "of every NIC each way, as \"10 Gb/s\"");
  verb.add_option("--latency", latency, "of a message (default 10 us)");
  verb.add_option("--model", model, "instead of these four: what a worker trains, on one GPU of --cluster");
  verb.add_option("--cluster", cluster, "whose GPU computes and whose network joins the workers");
  verb.add_option("--problem", problem, "what is optimised: quadratic (default), logistic or perceptron");
  verb.add_option("--condition", condition, "quadratic: its condition number (default 10)");
  verb.add_option("--noise", noise, "quadratic: standard deviation of a sample's gradient (default 1)");
  verb.add_option("--activation", activation, "perceptron: sigmoid (default) or relu");
  verb.add_option("--optimizer", optimizer, "sgd (default), momentum or adam");
  verb.add_option("--learning-rate", learning_rate, "of every update (default " + learning_rate + ")");
  verb.add_option("--batch", batch, "samples of an iteration of a worker (default " + batch + ")");
  verb.add_option("--target", target, "a loss: when is it reached?");
  verb.add_option("--csv", csv, "write the curves as a table");
  verb.add_option("--plot", plot, "draw loss over simulated time (SVG)");
  json.add_to(verb);
  add_effort_option(verb);
}

}  // namespace trainyard
