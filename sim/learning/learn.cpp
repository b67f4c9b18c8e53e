#include "sim/learning/learn.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <span>
#include <utility>

#include "sim/base/effort.hpp"

namespace trainyard {
namespace {

class Learning {
 public:
  Learning(const LearningProblem& problem, const LearningOptions& options, const UpdateJob& job,
           const UpdateTimes& times)
      : problem_(problem),
        options_(options),
        job_(job),
        times_(times),
        parameters_(problem.start),
        computed_(job.workers.size()),
        every_(std::max(1, times.versions / std::max(1, options.points))) {}

  LearningCurve run() {
    look({});
    const bool is_local = job_.mode == Synchronisation::kLocalSteps;
    std::vector<Updater> updaters(is_local ? job_.workers.size() : 1, {options_.rule, options_.learning_rate});
    const auto kept = static_cast<std::size_t>(largest_staleness(times_)) + 1;
    std::deque<Parameters> past = {parameters_};  // the last is the version that is current
    const std::vector<Update>& updates = times_.updates;
    for (std::size_t begin = 0; begin < updates.size() && !curve_.diverged;) {
      std::size_t end = begin;
      while (end < updates.size() && updates[end].applied == updates[begin].applied) {
        ++end;
      }
      const std::span<const Update> step = std::span(updates).subspan(begin, end - begin);
      if (is_local) {
        average_local_steps(step, updaters);
      } else {
        updaters.front().step(parameters_, mean_gradient(step, past));
      }
      past.push_back(parameters_);
      if (past.size() > kept) {
        past.pop_front();
      }
      version_ = step.front().applied + 1;
      if (version_ % every_ == 0 || end == updates.size()) {
        look(step.front().time);
      }
      begin = end;
    }
    return std::move(curve_);
  }

 private:
  // The next mini-batch of a worker: the same in every mode.
  Parameters gradient(int worker, const Parameters& at) {
    const auto w = static_cast<std::uint64_t>(worker);
    return problem_.gradient(at, Draw(options_.seed).of(w).of(computed_[static_cast<std::size_t>(worker)]++),
                             options_.batch);
  }

  Parameters mean_gradient(std::span<const Update> step, const std::deque<Parameters>& past) {
    Parameters sum(parameters_.size());
    for (const Update& update : step) {
      const Parameters one =
          gradient(update.worker, past[past.size() - 1 - static_cast<std::size_t>(update.staleness())]);
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += one[i] / static_cast<double>(step.size());
      }
    }
    return sum;
  }

  void average_local_steps(std::span<const Update> step, std::vector<Updater>& updaters) {
    const int steps = std::min(job_.local_steps, job_.updates - step.front().applied * job_.local_steps);
    Parameters sum(parameters_.size());
    for (const Update& update : step) {
      Parameters own = parameters_;
      for (int s = 0; s < steps; ++s) {
        updaters[static_cast<std::size_t>(update.worker)].step(own, gradient(update.worker, own));
      }
      for (std::size_t i = 0; i < sum.size(); ++i) {
        sum[i] += own[i] / static_cast<double>(step.size());
      }
    }
    parameters_ = std::move(sum);
  }

  void look(Seconds time) {
    LearningPoint point{.time = time, .version = version_, .loss = problem_.loss(parameters_)};
    if (!std::isfinite(point.loss)) {
      curve_.diverged = true;
      return;
    }
    if (problem_.accuracy) {
      point.accuracy = problem_.accuracy(parameters_);
    }
    curve_.points.push_back(point);
  }

  const LearningProblem& problem_;
  const LearningOptions& options_;
  const UpdateJob& job_;
  const UpdateTimes& times_;
  Parameters parameters_;
  std::vector<std::uint64_t> computed_;  // mini-batches, by worker
  int every_;
  int version_ = 0;
  LearningCurve curve_;
};

}  // namespace

LearningCurve learn(const LearningProblem& problem, const LearningOptions& options, const UpdateJob& job,
                    const UpdateTimes& times) {
  constexpr double kEventsOfProduct = 0.005;  // a few nanoseconds
  const int steps = job.mode == Synchronisation::kLocalSteps ? job.local_steps : 1;
  const double gradients = static_cast<double>(times.updates.size()) * steps;
  require_effort({.events = gradients * options.batch * problem.samples_work * kEventsOfProduct},
                 {.file = "--updates", .remedy = "ask for fewer updates or workers, or a smaller batch"});
  return Learning(problem, options, job, times).run();
}

std::optional<Seconds> time_to_loss(const LearningCurve& curve, double target) {
  for (const LearningPoint& point : curve.points) {
    if (point.loss <= target) {
      return point.time;
    }
  }
  return std::nullopt;
}

}  // namespace trainyard
