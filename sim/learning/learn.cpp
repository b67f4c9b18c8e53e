#include "sim/learning/learn.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <functional>
#include <span>
#include <utility>

#include "sim/base/effort.hpp"
#include "sim/learning/message_mean.hpp"
#include "sim/learning/one_bit_adam.hpp"
#include "sim/updates/compressors/table.hpp"
#include "sim/updates/strategy.hpp"

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
        messages_(job.compression, problem.matrices, job.workers.size(), options.seed),
        every_(std::max(1, times.versions / std::max(1, options.points))) {}

  LearningCurve run() {
    look({});
    const std::function<void(std::span<const Update>)> make_version = version_maker();
    const std::vector<Update>& updates = times_.updates;
    for (std::size_t begin = 0; begin < updates.size() && !curve_.diverged;) {
      std::size_t end = begin;
      while (end < updates.size() && updates[end].applied == updates[begin].applied) {
        ++end;
      }
      const std::span<const Update> step = std::span(updates).subspan(begin, end - begin);
      make_version(step);
      version_ = step.front().applied + 1;
      if (version_ % every_ == 0 || end == updates.size()) {
        look(step.front().time);
      }
      begin = end;
    }
    curve_.sent_share = messages_.sent_share();
    return std::move(curve_);
  }

 private:
  // What the updates of a version do to the parameters.
  std::function<void(std::span<const Update>)> version_maker() {
    switch (strategy_of(job_.mode).contribution) {
      case Contribution::kGradients:
        updaters_.assign(1, {options_.rule, options_.learning_rate});
        kept_ = static_cast<std::size_t>(largest_staleness(times_)) + 1;
        past_ = {parameters_};
        if (compressor_traits(job_.compression.compressor).part == CompressedPart::kMomentum) {
          one_bit_.emplace(options_.learning_rate, job_.compression.warm_up, job_.workers.size());
        }
        return [this](std::span<const Update> step) { apply_gradients(step); };
      case Contribution::kLocalSteps:
        updaters_.assign(job_.workers.size(), {options_.rule, options_.learning_rate});
        return [this](std::span<const Update> step) { average_steps(step); };
      case Contribution::kOuterStep:
        updaters_.assign(job_.workers.size(), {options_.diloco.inner_rule, options_.diloco.inner_rate});
        outer_ = {UpdateRule::kNesterov, options_.diloco.outer_rate, options_.diloco.outer_momentum};
        return [this](std::span<const Update> step) { outer_.step(parameters_, mean_change(step)); };
      case Contribution::kMixing:
        updaters_.assign(job_.workers.size(), {options_.rule, options_.learning_rate});
        own_.assign(job_.workers.size(), parameters_);
        weights_ = mixing_weights(neighbours_of(job_.edges, static_cast<int>(job_.workers.size())));
        return [this](std::span<const Update> step) { mix(step); };
    }
    return {};
  }

  // The next mini-batch of a worker: the same in every mode.
  Parameters gradient(int worker, const Parameters& at) {
    const auto w = static_cast<std::uint64_t>(worker);
    const Draw drawn = Draw(options_.seed).of(w).of(computed_[static_cast<std::size_t>(worker)]++);
    return options_.privacy ? private_gradient(problem_, *options_.privacy, at, drawn, options_.batch)
                            : problem_.gradient(at, drawn, options_.batch);
  }

  void apply_gradients(std::span<const Update> step) {
    std::vector<Parameters> gradients;
    for (const Update& update : step) {
      gradients.push_back(
          gradient(update.worker, past_[past_.size() - 1 - static_cast<std::size_t>(update.staleness())]));
    }
    if (one_bit_) {
      one_bit_->step(parameters_, step, gradients);
    } else {
      updaters_.front().step(parameters_, messages_.mean(step, std::move(gradients)));
    }
    past_.push_back(parameters_);
    if (past_.size() > kept_) {
      past_.pop_front();
    }
  }

  Parameters after_own_steps(const Update& update, Parameters own) {
    Updater& updater = updaters_[static_cast<std::size_t>(update.worker)];
    if (job_.mode == Synchronisation::kFederated) {
      updater = {options_.rule, options_.learning_rate};
    }
    for (int s = 0; s < update.steps; ++s) {
      updater.step(own, gradient(update.worker, own));
    }
    return own;
  }

  // The mean of how far workers came.
  Parameters mean_change(std::span<const Update> step) {
    std::vector<Parameters> changes;
    for (const Update& update : step) {
      changes.push_back(after_own_steps(update, parameters_));
      for (std::size_t i = 0; i < parameters_.size(); ++i) {
        changes.back()[i] = parameters_[i] - changes.back()[i];
      }
    }
    return messages_.mean(step, std::move(changes));
  }

  void average_steps(std::span<const Update> step) {
    const Parameters change = mean_change(step);
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      parameters_[i] -= change[i];
    }
  }

  void mix(std::span<const Update> step) {
    std::vector<Parameters> stepped;
    for (const Update& update : step) {
      stepped.push_back(after_own_steps(update, own_[static_cast<std::size_t>(update.worker)]));
    }
    std::fill(parameters_.begin(), parameters_.end(), 0.0);
    for (std::size_t worker = 0; worker < own_.size(); ++worker) {
      Parameters& own = own_[worker];
      std::fill(own.begin(), own.end(), 0.0);
      for (const MixingWeight& other : weights_[worker]) {
        const Parameters& from = stepped[static_cast<std::size_t>(other.worker)];
        for (std::size_t i = 0; i < own.size(); ++i) {
          own[i] += other.weight * from[i];
        }
      }
      for (std::size_t i = 0; i < own.size(); ++i) {
        parameters_[i] += own[i] / static_cast<double>(own_.size());
      }
    }
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
  MessageMean messages_;
  std::optional<OneBitAdam> one_bit_;
  std::vector<Updater> updaters_;  // by worker, or one for all
  std::deque<Parameters> past_;    // the last is the version that is current
  std::size_t kept_ = 1;
  Updater outer_{UpdateRule::kNesterov, 1.0};
  std::vector<Parameters> own_;  // by worker, with gossip
  std::vector<std::vector<MixingWeight>> weights_;
  int every_;
  int version_ = 0;
  LearningCurve curve_;
};

}  // namespace

LearningCurve learn(const LearningProblem& problem, const LearningOptions& options, const UpdateJob& job,
                    const UpdateTimes& times) {
  constexpr double kEventsOfProduct = 0.005;  // a few nanoseconds
  double gradients = 0.0;
  for (const Update& update : times.updates) {
    gradients += update.steps;
  }
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
