#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <cmath>

#include "sim/learning/learn.hpp"
#include "sim/learning/message_mean.hpp"
#include "sim/learning/one_bit_adam.hpp"
#include "sim/updates/simulate_updates.hpp"

using namespace trainyard;

namespace test_message_mean {

namespace {

using doctest::Approx;

UpdateJob job_of(Synchronisation mode, int updates) {
  const Nic nic{.bandwidth = {1e9}, .latency = {1e-5}};
  UpdateJob job{.parameters = {1e6}, .mode = mode, .updates = updates};
  job.workers.assign(4, {.compute = {0.01}, .nic = nic});
  job.servers.assign(1, {.nic = nic});
  return job;
}

LearningCurve learnt(const LearningProblem& problem, const LearningOptions& options, const UpdateJob& job) {
  return learn(problem, options, job, simulate_updates(job));
}

const std::vector<MatrixShape> kMatrix = {{.rows = 3, .columns = 4}};

}  // namespace

TEST_CASE("with error feedback all that was given has arrived, but for what is still left out") {
  // Sum of the means sent plus the mean of what is left out = sum of the means given: what is left out shows when zeros
  // are pushed until all has come.
  CHECK(rc::check([] {
    const Compressor compressor = *rc::gen::elementOf(
        std::vector{Compressor::kFp16, Compressor::kTopK, Compressor::kRandomK, Compressor::kPowerSgd});
    const Compression compression{
        .compressor = compressor, .feedback = ErrorFeedback::kPresent, .kept = 0.25, .rank = 1};
    MessageMean messages(compression, kMatrix, 2, 5);
    const std::vector<Update> step = {{.worker = 0}, {.worker = 1}};
    Parameters given(12);
    Parameters arrived(12);
    const auto push = [&](const std::vector<Parameters>& gradients) {
      const Parameters mean = messages.mean(step, gradients);
      for (std::size_t i = 0; i < given.size(); ++i) {
        given[i] += (gradients[0][i] + gradients[1][i]) / 2.0;
        arrived[i] += mean[i];
      }
    };
    for (int message = 0; message < 5; ++message) {
      std::vector<Parameters> gradients(2, Parameters(12));
      for (Parameters& gradient : gradients) {
        for (double& value : gradient) {
          value = *rc::gen::inRange(-100, 100) / 16.0;
        }
      }
      push(gradients);
    }
    for (int message = 0; message < 300; ++message) {
      push({Parameters(12), Parameters(12)});
    }
    for (std::size_t i = 0; i < given.size(); ++i) {
      RC_ASSERT(std::abs(given[i] - arrived[i]) < 1e-6);
    }
  }));
}

TEST_CASE("without error feedback what is left out is lost") {
  MessageMean messages({.compressor = Compressor::kTopK, .kept = 0.25}, kMatrix, 1, 5);
  const std::vector<Update> step = {{.worker = 0}};
  Parameters gradient(12, 1.0);
  gradient[4] = gradient[5] = gradient[6] = 2.0;
  const Parameters first = messages.mean(step, {gradient});
  CHECK(messages.mean(step, {gradient}) == first);
  CHECK(first[0] == 0.0);
  CHECK(*messages.sent_share() == Approx(0.25));
}

TEST_CASE("messages that are added up keep the same places of all workers") {
  MessageMean messages({.compressor = Compressor::kRandomK, .kept = 0.25}, kMatrix, 2, 5);
  const std::vector<Update> step = {{.worker = 0}, {.worker = 1}};
  const Parameters mean = messages.mean(step, {Parameters(12, 1.0), Parameters(12, 3.0)});
  // Three of twelve, each of mean 2 x 12 / 3.
  CHECK(std::count(mean.begin(), mean.end(), 8.0) == 3);
}

TEST_CASE("PowerSGD's message is the factored mean, whatever the workers differ by") {
  const Compression compression{.compressor = Compressor::kPowerSgd, .rank = 3};
  MessageMean messages(compression, kMatrix, 2, 5);
  const std::vector<Update> step = {{.worker = 0}, {.worker = 1}};
  Parameters a(12);
  Parameters b(12);
  for (std::size_t i = 0; i < 12; ++i) {
    a[i] = std::sin(1.0 + static_cast<double>(i * i));
    b[i] = std::cos(static_cast<double>(3 * i));
  }
  // Rank 3 of a 3 x 4 matrix is all of it.
  const Parameters mean = messages.mean(step, {a, b});
  for (std::size_t i = 0; i < 12; ++i) {
    CHECK(mean[i] == Approx((a[i] + b[i]) / 2.0).epsilon(1e-9));
  }
}

TEST_CASE("a scheme that leaves nothing out does not change the loss") {
  const LearningProblem problem = make_problem(Classifier{.seed = 4});
  for (const Synchronisation mode : {Synchronisation::kAllReduce, Synchronisation::kAsynchronous,
                                     Synchronisation::kLocalSteps, Synchronisation::kFederated}) {
    UpdateJob job = job_of(mode, 20);
    const double plain = learnt(problem, {.learning_rate = 0.5}, job).points.back().loss;
    job.compression = {.compressor = Compressor::kRandomK, .kept = 1.0};
    CHECK(learnt(problem, {.learning_rate = 0.5}, job).points.back().loss == plain);
  }
}

TEST_CASE("classifiers learn under every compressor, and a rougher one learns less") {
  const LearningProblem problem = make_problem(Classifier{.activation = HiddenActivation::kRelu});
  UpdateJob job = job_of(Synchronisation::kAllReduce, 300);
  for (const auto& [name, compressor] : kCompressorNames.rows) {
    if (compressor == Compressor::kOneBitAdam) {
      continue;
    }
    CAPTURE(name);
    const bool feeds_back = compressor == Compressor::kTopK || compressor == Compressor::kRandomK ||
                            compressor == Compressor::kThreshold || compressor == Compressor::kPowerSgd;
    job.compression = {.compressor = compressor,
                       .feedback = feeds_back ? ErrorFeedback::kPresent : ErrorFeedback::kAbsent,
                       .kept = 0.2,
                       .threshold = 0.05};
    const LearningCurve curve = learnt(problem, {.learning_rate = 0.5}, job);
    CHECK(curve.points.back().loss < 0.6 * curve.points.front().loss);
  }
  // Seven values of 133 without feedback: most never move.
  job.compression = {.compressor = Compressor::kTopK, .kept = 0.05};
  const double without = learnt(problem, {.learning_rate = 0.5}, job).points.back().loss;
  job.compression.feedback = ErrorFeedback::kPresent;
  CHECK(learnt(problem, {.learning_rate = 0.5}, job).points.back().loss < without);
}

TEST_CASE("1-bit Adam is Adam without bias correction while it warms up, then steps along signs") {
  // One dimension and one worker: a sign with its scale is the value itself, so nothing is ever left out, and what
  // differs from Adam is the frozen variance. Gradients 2, 1, 4 with a warm-up of 2, rate 0.1.
  OneBitAdam one(0.1, 2, 1);
  const std::vector<Update> step = {{.worker = 0}};
  Parameters x = {0.0};
  double m = 0.0;
  double v = 0.0;
  double expected = 0.0;
  int number = 0;
  for (const double gradient : {2.0, 1.0, 4.0}) {
    one.step(x, step, {{gradient}});
    m = 0.9 * m + 0.1 * gradient;
    v = number++ < 2 ? 0.999 * v + 0.001 * gradient * gradient : v;
    expected -= 0.1 * m / (std::sqrt(v) + 1e-8);
    CHECK(x[0] == Approx(expected));
  }
  // Two dimensions, momentum (m1, m2) after the warm-up: both move by the root mean square of it.
  OneBitAdam two(0.1, 1, 1);
  Parameters y = {0.0, 0.0};
  two.step(y, step, {{1.0, 1.0}});
  const Parameters before = y;
  two.step(y, step, {{3.0, -1.0}});
  // m = 0.9 x 0.1 + 0.1 g = (0.39, -0.01), root mean square 0.27586, deviation sqrt(0.001).
  CHECK(before[0] - y[0] == Approx(0.1 * 0.27586 / std::sqrt(0.001)).epsilon(1e-4));
  CHECK(before[1] - y[1] == Approx(-0.1 * 0.27586 / std::sqrt(0.001)).epsilon(1e-4));
}

TEST_CASE("classifiers learn under 1-bit Adam") {
  const LearningProblem problem = make_problem(Classifier{.activation = HiddenActivation::kRelu});
  UpdateJob job = job_of(Synchronisation::kAllReduce, 300);
  job.compression = {.compressor = Compressor::kOneBitAdam, .feedback = ErrorFeedback::kPresent, .warm_up = 50};
  const LearningCurve curve = learnt(problem, {.rule = UpdateRule::kAdam, .learning_rate = 0.003}, job);
  CHECK(curve.points.back().loss < 0.7 * curve.points.front().loss);
}

}  // namespace test_message_mean
