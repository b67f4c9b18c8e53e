#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "sim/learning/problem.hpp"

using namespace trainyard;

namespace test_problem {

using doctest::Approx;

TEST_CASE("eigenvalues go from 1 to 1 / condition in equal ratios") {
  const std::vector<double> lambda = eigenvalues({.dimensions = 3, .condition = 100.0});
  CHECK(lambda[0] == 1.0);
  CHECK(lambda[1] == Approx(0.1));
  CHECK(lambda[2] == Approx(0.01));
}

TEST_CASE("a mini-batch's gradient has the stated noise, less by its samples") {
  // Variance over all dimensions together 4 / 16 of a batch of 16 samples of noise 2: 0.25, to 5 % of 4,000 draws.
  const LearningProblem problem = make_problem(Quadratic{.dimensions = 5, .condition = 2.0, .noise = 2.0});
  const std::vector<double> lambda = eigenvalues({.dimensions = 5, .condition = 2.0});
  double squares = 0.0;
  constexpr int kDraws = 4000;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const Parameters gradient = problem.gradient(problem.start, Draw(i), 16);
    for (std::size_t d = 0; d < gradient.size(); ++d) {
      squares += (gradient[d] - lambda[d]) * (gradient[d] - lambda[d]);
    }
  }
  CHECK(squares / kDraws == Approx(0.25).epsilon(0.05));
}

TEST_CASE("a classifier's gradients are the slopes of its loss") {
  // The gradient of very many samples drawn with replacement is that of the loss over all, which differences measure.
  for (const HiddenActivation activation : {HiddenActivation::kSigmoid, HiddenActivation::kRelu}) {
    const LearningProblem problem = make_problem(Classifier{.activation = activation, .samples = 3, .seed = 7});
    CHECK(problem.start.size() == 6 * 10 + 11 * 5 + 6 * 3);
    // Of three samples batches of one: their gradients by which sample was drawn; the mean of the three is exact.
    Parameters mean(problem.start.size());
    std::vector<Parameters> distinct;
    for (std::uint64_t i = 0; distinct.size() < 3; ++i) {
      Parameters one = problem.gradient(problem.start, Draw(i), 1);
      if (std::find(distinct.begin(), distinct.end(), one) == distinct.end()) {
        distinct.push_back(std::move(one));
      }
    }
    for (std::size_t p = 0; p < mean.size(); ++p) {
      const double expected = (distinct[0][p] + distinct[1][p] + distinct[2][p]) / 3.0;
      Parameters above = problem.start;
      Parameters below = problem.start;
      above[p] += 1e-5;
      below[p] -= 1e-5;
      const double slope = (problem.loss(above) - problem.loss(below)) / 2e-5;
      CHECK(slope == Approx(expected).epsilon(1e-5).scale(1e-2));
    }
  }
}

TEST_CASE("an untrained classifier of equal chances has the loss of a guess") {
  // All parameters zero: probabilities 1/2, cross entropy log 2.
  const LearningProblem logistic = make_problem(Classifier{.layers = {4, 2}});
  CHECK(logistic.loss(Parameters(logistic.start.size())) == Approx(std::log(2.0)));
}

}  // namespace test_problem
