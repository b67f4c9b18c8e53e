#include "sim/cli/converge_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

#include "sim/base/quantity_text.hpp"

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

UpdateJob job_of(const ConvergeOptions& options, const std::vector<Synchronisation>& modes,
                 const LearningOptions& learning) {
  const bool any_servers = std::any_of(modes.begin(), modes.end(), has_servers);
  refuse_idle("--servers", options.servers, any_servers, "a mode of --sync that has servers");
  refuse_idle("--dedicated-servers", options.dedicated_servers, any_servers, "a mode of --sync that has servers");
  const int workers = whole_number("--workers", options.workers, 1, kMostWorkers);
  UpdateJob job;
  job.updates = whole_number("--updates", options.updates, 1, kMostUpdates);
  job.jitter = real_number("--jitter", options.jitter, 0.0, 10.0);
  job.seed = static_cast<std::uint64_t>(whole_number("--seed", options.seed, 0, std::numeric_limits<int>::max()));
  const WorkerSource source = worker_source(options);
  job.parameters = source.parameters;
  job.workers.assign(static_cast<std::size_t>(workers), {.compute = source.compute, .nic = source.nic});
  set_workers(options, job);
  set_modes(options, modes, job);
  set_pushes(options, source, learning.rule, any_servers, job);
  set_gpu_work(options, source, learning.batch, job);
  Nic server_nic = source.nic;
  if (!options.server_bandwidth.empty()) {
    server_nic.bandwidth = typed_quantity("--server-bandwidth", options.server_bandwidth, parse_bytes_per_second);
  }
  job.servers = servers_of(options, workers, server_nic);
  const bool any_apart = std::any_of(job.servers.begin(), job.servers.end(),
                                     [](const Server& server) { return !server.worker.has_value(); });
  refuse_idle("--server-bandwidth", options.server_bandwidth, any_servers && any_apart,
              "a mode of --sync that has servers, and servers on nodes of their own");
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

void refuse_idle(const std::string& flag, const std::string& typed, bool has_use, const std::string& needs) {
  if (!typed.empty() && !has_use) {
    throw UserError({.file = flag,
                     .found = typed,
                     .allowed = fmt::format("with {}", needs),
                     .problem = "the option would change nothing",
                     .remedy = fmt::format("leave it out, or add {}", needs)});
  }
}

ConvergenceQuestion question_of(const ConvergeOptions& options) {
  ConvergenceQuestion question;
  question.modes = modes_of(options.sync);
  question.learning.rule = named_choice("--optimizer", options.optimizer, kUpdateRuleNames);
  question.learning.learning_rate = real_number("--learning-rate", options.learning_rate, 1e-12, kMostReal);
  question.learning.batch = whole_number("--batch", options.batch, 1, kMostBatch);
  question.job = job_of(options, question.modes, question.learning);
  question.learning.privacy = privacy_options(options);
  question.learning.diloco = diloco_options(options, question.modes, question.learning.learning_rate);
  question.learning.seed = question.job.seed;
  set_problem(options, question);
  if (!options.target.empty()) {
    question.target = real_number("--target", options.target, 0.0, kMostReal);
  }
  return question;
}

}  // namespace trainyard
