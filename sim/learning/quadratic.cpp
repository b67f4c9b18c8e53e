#include <cmath>

#include "sim/learning/problem.hpp"

namespace trainyard {

std::vector<double> eigenvalues(const Quadratic& quadratic) {
  std::vector<double> out;
  for (int i = 0; i < quadratic.dimensions; ++i) {
    const double along = quadratic.dimensions == 1 ? 0.0 : static_cast<double>(i) / (quadratic.dimensions - 1);
    out.push_back(std::pow(quadratic.condition, -along));
  }
  return out;
}

LearningProblem make_problem(const Quadratic& quadratic) {
  const std::vector<double> lambda = eigenvalues(quadratic);
  const double noise = quadratic.noise / std::sqrt(static_cast<double>(lambda.size()));
  LearningProblem out{.start = Parameters(lambda.size(), 1.0),
                      .samples_work = static_cast<double>(lambda.size()),
                      .matrices = {{.rows = 1, .columns = static_cast<std::int64_t>(lambda.size())}}};
  // The mean of `batch` normal samples is drawn as one of its variance.
  out.gradient = [lambda, noise](const Parameters& at, const Draw& drawn, int batch) {
    const double of_batch = noise / std::sqrt(static_cast<double>(batch));
    Parameters gradient(at.size());
    for (std::size_t i = 0; i < at.size(); ++i) {
      gradient[i] = lambda[i] * at[i] + (of_batch > 0.0 ? of_batch * drawn.of(i).normal() : 0.0);
    }
    return gradient;
  };
  out.sample_gradient = [one = out.gradient](const Parameters& at, const Draw& drawn, int sample) {
    return one(at, drawn.of(static_cast<std::uint64_t>(sample)), 1);
  };
  out.loss = [lambda](const Parameters& at) {
    double sum = 0.0;
    for (std::size_t i = 0; i < at.size(); ++i) {
      sum += 0.5 * lambda[i] * at[i] * at[i];
    }
    return sum;
  };
  return out;
}

double descent_loss(const Quadratic& quadratic, double learning_rate, int steps) {
  double sum = 0.0;
  for (const double lambda : eigenvalues(quadratic)) {
    sum += 0.5 * lambda * std::pow(1.0 - learning_rate * lambda, 2.0 * steps);
  }
  return sum;
}

double strongly_convex_bound(const Quadratic& quadratic, double learning_rate, double samples, int steps) {
  const double c = 1.0 / quadratic.condition;
  const double noise_floor = learning_rate * quadratic.noise * quadratic.noise / samples / (2.0 * c);
  const double first = descent_loss(quadratic, learning_rate, 0);
  return noise_floor + std::pow(1.0 - learning_rate * c, steps) * (first - noise_floor);
}

}  // namespace trainyard
