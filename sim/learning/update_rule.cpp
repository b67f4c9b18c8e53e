#include "sim/learning/update_rule.hpp"

#include <cmath>

namespace trainyard {
namespace {

constexpr double kFirstDecay = 0.9;
constexpr double kSecondDecay = 0.999;
constexpr double kEpsilon = 1e-8;
constexpr double kWeightDecay = 0.01;

}  // namespace

void Updater::step(Parameters& parameters, const Parameters& gradient) {
  ++steps_;
  first_.resize(parameters.size());
  if (rule_ == UpdateRule::kAdam || rule_ == UpdateRule::kAdamw) {
    adam_step(parameters, gradient);
    return;
  }
  const double kept = rule_ == UpdateRule::kSgd ? 0.0 : momentum_;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    first_[i] = kept * first_[i] + gradient[i];
    parameters[i] -= rate_ * (rule_ == UpdateRule::kNesterov ? gradient[i] + kept * first_[i] : first_[i]);
  }
}

void Updater::adam_step(Parameters& parameters, const Parameters& gradient) {
  second_.resize(parameters.size());
  const double first_part = 1.0 - std::pow(kFirstDecay, steps_);
  const double second_part = 1.0 - std::pow(kSecondDecay, steps_);
  const double left = rule_ == UpdateRule::kAdamw ? 1.0 - rate_ * kWeightDecay : 1.0;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    first_[i] = kFirstDecay * first_[i] + (1.0 - kFirstDecay) * gradient[i];
    second_[i] = kSecondDecay * second_[i] + (1.0 - kSecondDecay) * gradient[i] * gradient[i];
    parameters[i] *= left;
    parameters[i] -= rate_ * first_[i] / first_part / (std::sqrt(second_[i] / second_part) + kEpsilon);
  }
}

}  // namespace trainyard
