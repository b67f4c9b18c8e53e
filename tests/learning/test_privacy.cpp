#include <doctest/doctest.h>

#include <cmath>

#include "sim/learning/learn.hpp"
#include "sim/updates/simulate_updates.hpp"

using namespace trainyard;

namespace test_privacy {

namespace {

using doctest::Approx;

double norm_of(const Parameters& values) {
  double squares = 0.0;
  for (const double value : values) {
    squares += value * value;
  }
  return std::sqrt(squares);
}

}  // namespace

TEST_CASE("a norm that no sample has changes nothing, one that all have cuts each") {
  const LearningProblem problem = make_problem(Classifier{.seed = 2});
  const Parameters plain = problem.gradient(problem.start, Draw(9), 16);
  const Parameters free = private_gradient(problem, {.clip = 1e6}, problem.start, Draw(9), 16);
  for (std::size_t i = 0; i < plain.size(); ++i) {
    CHECK(free[i] == Approx(plain[i]).epsilon(1e-12));
  }
  // Of one sample the clipped gradient has the norm, and the direction of the whole one.
  const Parameters whole = problem.sample_gradient(problem.start, Draw(9), 0);
  const Parameters cut = private_gradient(problem, {.clip = 0.01}, problem.start, Draw(9), 1);
  CHECK(norm_of(cut) == Approx(0.01));
  for (std::size_t i = 0; i < cut.size(); ++i) {
    CHECK(cut[i] == Approx(whole[i] * 0.01 / norm_of(whole)).epsilon(1e-9));
  }
  // The mean of cut ones is no longer than one of them.
  CHECK(norm_of(private_gradient(problem, {.clip = 0.01}, problem.start, Draw(9), 16)) <= 0.01);
}

TEST_CASE("noise on the mean has the multiplier's deviation of the norm, less by the samples") {
  // 2 x 0.5 / 8 in every direction; 4,000 draws of 10 directions know their variance to 0.7 %.
  const LearningProblem problem = make_problem(Quadratic{.dimensions = 10, .noise = 0.0});
  const Parameters still = private_gradient(problem, {.clip = 0.5}, problem.start, Draw(0), 8);
  double squares = 0.0;
  constexpr int kDraws = 4000;
  for (std::uint64_t draw = 0; draw < kDraws; ++draw) {
    const Parameters noisy =
        private_gradient(problem, {.clip = 0.5, .noise_multiplier = 2.0}, problem.start, Draw(draw), 8);
    for (std::size_t i = 0; i < noisy.size(); ++i) {
      squares += (noisy[i] - still[i]) * (noisy[i] - still[i]);
    }
  }
  CHECK(squares / (kDraws * 10) == Approx(0.125 * 0.125).epsilon(0.035));
}

TEST_CASE("privacy costs loss") {
  const LearningProblem problem = make_problem(Quadratic{});
  UpdateJob job{.parameters = {1e6}, .mode = Synchronisation::kAllReduce, .updates = 100};
  job.workers.assign(4, {.compute = {0.01}, .nic = {.bandwidth = {1e9}}});
  const UpdateTimes times = simulate_updates(job);
  const LearningCurve plain = learn(problem, {}, job, times);
  const LearningCurve noisy = learn(problem, {.privacy = Privacy{.clip = 1.0, .noise_multiplier = 20.0}}, job, times);
  CHECK(noisy.points.back().loss > 2.0 * plain.points.back().loss);
}

}  // namespace test_privacy
