#include "sim/learning/convergence.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/quantity_text.hpp"
#include "sim/updates/simulate_updates.hpp"

namespace trainyard {
namespace {

std::vector<double> bounds_of(const ConvergenceQuestion& question, const UpdateJob& job, const LearningCurve& curve) {
  const bool holds = question.quadratic && job.compression.compressor == Compressor::kNone &&
                     !question.learning.privacy && question.learning.rule == UpdateRule::kSgd &&
                     question.learning.learning_rate <= 1.0 &&
                     (job.mode == Synchronisation::kSynchronous || job.mode == Synchronisation::kBackupWorkers ||
                      job.mode == Synchronisation::kAllReduce);
  std::vector<double> out;
  if (holds) {
    const int dropped = job.mode == Synchronisation::kBackupWorkers ? job.backup : 0;
    const double samples = (static_cast<double>(job.workers.size()) - dropped) * question.learning.batch;
    for (const LearningPoint& point : curve.points) {
      out.push_back(
          strongly_convex_bound(*question.quadratic, question.learning.learning_rate, samples, point.version));
    }
  }
  return out;
}

double most_server_use(const UpdateTimes& times) {
  return times.server_use.empty() ? 0.0 : *std::max_element(times.server_use.begin(), times.server_use.end());
}

// Of all workers' time.
double waiting_share(const UpdateTimes& times) {
  Seconds waiting{};
  for (const WorkerTimes& worker : times.workers) {
    waiting += worker.waiting;
  }
  return waiting / (times.total * static_cast<double>(times.workers.size()));
}

std::string accuracy_text(const LearningPoint& point) {
  return point.accuracy ? fmt::format("{:.1f} %", *point.accuracy * 100.0) : "-";
}

// How many values a threshold lets through is for the gradients to say, not for the bytes.
std::string sent_text(const Compression& compression, const std::vector<ModeOutcome>& outcomes) {
  std::string out;
  for (const ModeOutcome& outcome : outcomes) {
    if (compression.compressor == Compressor::kThreshold && outcome.curve.sent_share) {
      out += fmt::format("{}: {:.3g} % of the values reached the threshold; bytes are those of {:.3g} % (--keep)\n",
                         kSynchronisationNames.name_of(outcome.mode), *outcome.curve.sent_share * 100.0,
                         compression.kept * 100.0);
    }
  }
  return out;
}

Json curve_json(const ModeOutcome& outcome) {
  Json out = Json::array();
  for (std::size_t p = 0; p < outcome.curve.points.size(); ++p) {
    const LearningPoint& point = outcome.curve.points[p];
    Json row = {{"time_s", point.time.value}, {"version", point.version}, {"loss", point.loss}};
    if (point.accuracy) {
      row["accuracy"] = *point.accuracy;
    }
    if (!outcome.bound.empty()) {
      row["bound"] = outcome.bound[p];
    }
    out.push_back(std::move(row));
  }
  return out;
}

Json workers_json(const UpdateTimes& times) {
  const std::vector<std::vector<int>> staleness = staleness_histograms(times);
  Json out = Json::array();
  for (std::size_t w = 0; w < times.workers.size(); ++w) {
    const WorkerTimes& worker = times.workers[w];
    out.push_back({{"computing_s", worker.computing.value},
                   {"transferring_s", worker.transferring.value},
                   {"waiting_s", worker.waiting.value},
                   {"staleness", staleness[w]}});
  }
  return out;
}

}  // namespace

std::vector<ModeOutcome> converge(const ConvergenceQuestion& question) {
  std::vector<ModeOutcome> out;
  for (const Synchronisation mode : question.modes) {
    UpdateJob job = question.job;
    job.mode = mode;
    ModeOutcome outcome{.mode = mode, .times = simulate_updates(job)};
    outcome.curve = learn(question.problem, question.learning, job, outcome.times);
    outcome.bound = bounds_of(question, job, outcome.curve);
    if (question.target) {
      outcome.to_target = time_to_loss(outcome.curve, *question.target);
    }
    out.push_back(std::move(outcome));
  }
  return out;
}

std::string convergence_text(const ConvergenceQuestion& question, const std::vector<ModeOutcome>& outcomes) {
  std::string text = fmt::format("{:<18}{:>11}{:>11}{:>11}{:>6}{:>10}{:>10}{:>11}{:>10}", "mode", "time", "updates/s",
                                 "staleness", "most", "waiting", "servers", "loss", "accuracy");
  if (question.target) {
    text += fmt::format("{:>14}", fmt::format("to {:g}", *question.target));
  }
  text += "\n";
  for (const ModeOutcome& outcome : outcomes) {
    const LearningPoint& last = outcome.curve.points.back();
    const std::string servers =
        outcome.times.server_use.empty() ? "-" : fmt::format("{:.1f} %", most_server_use(outcome.times) * 100.0);
    text += fmt::format(
        "{:<18}{:>11}{:>11.4g}{:>11.4g}{:>6}{:>10}{:>10}{:>11}{:>10}", kSynchronisationNames.name_of(outcome.mode),
        to_text(outcome.times.total), outcome.times.updates_per_second(), mean_staleness(outcome.times),
        largest_staleness(outcome.times), fmt::format("{:.1f} %", waiting_share(outcome.times) * 100.0), servers,
        outcome.curve.diverged ? "diverged" : fmt::format("{:.4g}", last.loss), accuracy_text(last));
    if (question.target) {
      text += fmt::format("{:>14}", outcome.to_target ? to_text(*outcome.to_target) : "not reached");
    }
    text += "\n";
  }
  return text + sent_text(question.job.compression, outcomes);
}

Json convergence_json(const std::vector<ModeOutcome>& outcomes) {
  Json out = Json::array();
  for (const ModeOutcome& outcome : outcomes) {
    const UpdateTimes& times = outcome.times;
    const LearningPoint& last = outcome.curve.points.back();
    Json row = {{"mode", kSynchronisationNames.name_of(outcome.mode)},
                {"time_s", times.total.value},
                {"updates", times.versions},
                {"updates_per_s", times.updates_per_second()},
                {"gradients", times.updates.size()},
                {"dropped_gradients", times.dropped},
                {"mean_staleness", mean_staleness(times)},
                {"largest_staleness", largest_staleness(times)},
                {"staleness", staleness_histogram(times)},
                {"waiting_fraction", waiting_share(times)},
                {"server_nic_use", times.server_use},
                {"diverged", outcome.curve.diverged},
                {"loss", last.loss}};
    row["accuracy"] = last.accuracy ? Json(*last.accuracy) : Json();
    row["sent_fraction"] = outcome.curve.sent_share ? Json(*outcome.curve.sent_share) : Json();
    row["time_to_target_s"] = outcome.to_target ? Json(outcome.to_target->value) : Json();
    row["workers"] = workers_json(times);
    row["curve"] = curve_json(outcome);
    out.push_back(std::move(row));
  }
  return out;
}

std::string convergence_csv(const std::vector<ModeOutcome>& outcomes) {
  std::string out = "mode,time_s,version,loss,accuracy,bound\n";
  for (const ModeOutcome& outcome : outcomes) {
    for (std::size_t p = 0; p < outcome.curve.points.size(); ++p) {
      const LearningPoint& point = outcome.curve.points[p];
      out += fmt::format("{},{},{},{},{},{}\n", kSynchronisationNames.name_of(outcome.mode), point.time.value,
                         point.version, point.loss, point.accuracy ? fmt::format("{}", *point.accuracy) : "",
                         outcome.bound.empty() ? "" : fmt::format("{}", outcome.bound[p]));
    }
  }
  return out;
}

}  // namespace trainyard
