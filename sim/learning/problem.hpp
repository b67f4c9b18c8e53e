#pragma once
// What is optimised: a loss over parameters and the gradients of mini-batches, small enough to be really computed.
#include <functional>
#include <vector>

#include "sim/base/name_table.hpp"
#include "sim/base/random.hpp"
#include "sim/updates/compressors/compression.hpp"

namespace trainyard {

using Parameters = std::vector<double>;

struct LearningProblem {
  Parameters start;
  // Of a mini-batch of so many samples, which `drawn` names.
  std::function<Parameters(const Parameters&, const Draw& drawn, int batch)> gradient;
  // Of one sample of such a mini-batch.
  std::function<Parameters(const Parameters&, const Draw& drawn, int sample)> sample_gradient;
  std::function<double(const Parameters&)> loss;
  std::function<double(const Parameters&)> accuracy;  // on samples that are not learnt from; empty without classes
  double samples_work = 1.0;                          // multiplications of one sample's gradient
  std::vector<MatrixShape> matrices{};                // that the parameters are, one after another
};

// F(x) = 1/2 sum of lambda_i x_i^2, with lambda from 1 / condition to 1 in equal ratios; F* = 0 at the origin. The
// search begins where every x_i is 1. A sample's gradient has noise of variance noise^2 over all dimensions together.
struct Quadratic {
  int dimensions = 10;      // 1 or more
  double condition = 10.0;  // 1 or more
  double noise = 1.0;       // 0 or more
};
std::vector<double> eigenvalues(const Quadratic& quadratic);
LearningProblem make_problem(const Quadratic& quadratic);

// The loss after so many steps of gradient descent without noise: 1/2 sum of lambda (1 - rate lambda)^(2 steps).
double descent_loss(const Quadratic& quadratic, double learning_rate, int steps);

// Above the expected loss after so many steps of SGD, each along the mean gradient of `samples`:
// a L M / (2 c mu) + (1 - a c mu)^steps (F(w_1) - F* - a L M / (2 c mu)), with L = 1, c = 1 / condition, mu = 1 and
// M = noise^2 / samples. Holds for rates up to mu / (L M_G) = 1; after k - 1 steps stands w_k.
// Source: Bottou, Curtis, Nocedal, "Optimization methods for large-scale machine learning", SIAM Review 60(2), 2018,
// theorem 4.6.
double strongly_convex_bound(const Quadratic& quadratic, double learning_rate, double samples, int steps);

enum class HiddenActivation { kSigmoid, kRelu };
inline constexpr NameTable<HiddenActivation, 2> kHiddenActivationNames{
    {{{"sigmoid", HiddenActivation::kSigmoid}, {"relu", HiddenActivation::kRelu}}}};

// Fully connected layers with an activation between them, softmax and cross entropy, on classes that are clouds of
// points around centres drawn from the seed. Two layers and two classes are logistic regression.
struct Classifier {
  std::vector<int> layers = {5, 10, 5, 3};  // widths, from the inputs to the classes: two or more, each 1 or more
  HiddenActivation activation = HiddenActivation::kSigmoid;
  int clouds = 1;     // of each class
  int samples = 600;  // to learn from, and as many again to measure the accuracy
  std::uint64_t seed = 0;
};
LearningProblem make_problem(const Classifier& classifier);

}  // namespace trainyard
