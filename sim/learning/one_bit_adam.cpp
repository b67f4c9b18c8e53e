#include "sim/learning/one_bit_adam.hpp"

#include <cmath>

#include "sim/learning/message_mean.hpp"
#include "sim/updates/compressors/table.hpp"

namespace trainyard {
namespace {

constexpr double kMomentumDecay = 0.9;
constexpr double kVarianceDecay = 0.999;
constexpr double kLeastDeviation = 1e-8;

// Sends what is to be sent and what was left out before; what is left out now remains.
void send_with_feedback(Parameters& values, Parameters& left_out) {
  left_out.resize(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] += left_out[i];
  }
  left_out = values;
  compressor_traits(Compressor::kOneBitAdam).send({}, {}, {.drawn = Draw(0)}, values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    left_out[i] -= values[i];
  }
}

}  // namespace

Parameters OneBitAdam::momentum_of(const Parameters& gradient) const {
  Parameters out(gradient.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] = kMomentumDecay * momentum_[i] + (1.0 - kMomentumDecay) * gradient[i];
  }
  return out;
}

void OneBitAdam::send_momenta(std::span<const Update> updates, const std::vector<Parameters>& gradients) {
  std::vector<Parameters> momenta;
  for (std::size_t u = 0; u < updates.size(); ++u) {
    momenta.push_back(momentum_of(gradients[u]));
    send_with_feedback(momenta.back(), left_out_[static_cast<std::size_t>(updates[u].worker)]);
  }
  momentum_ = weighted_mean(updates, momenta);
  send_with_feedback(momentum_, left_out_of_mean_);
}

void OneBitAdam::step(Parameters& parameters, std::span<const Update> updates,
                      const std::vector<Parameters>& gradients) {
  momentum_.resize(parameters.size());
  variance_.resize(parameters.size());
  if (steps_++ < warm_up_) {
    const Parameters mean = weighted_mean(updates, gradients);
    momentum_ = momentum_of(mean);
    for (std::size_t i = 0; i < mean.size(); ++i) {
      variance_[i] = kVarianceDecay * variance_[i] + (1.0 - kVarianceDecay) * mean[i] * mean[i];
    }
  } else {
    send_momenta(updates, gradients);
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    parameters[i] -= rate_ * momentum_[i] / (std::sqrt(variance_[i]) + kLeastDeviation);
  }
}

}  // namespace trainyard
