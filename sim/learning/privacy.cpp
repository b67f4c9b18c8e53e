#include <algorithm>
#include <cmath>

#include "sim/learning/learn.hpp"

namespace trainyard {

Parameters private_gradient(const LearningProblem& problem, const Privacy& privacy, const Parameters& at,
                            const Draw& drawn, int batch) {
  constexpr std::uint64_t kNoiseKey = 0x6e6f697365;  // apart from what samples are drawn by
  Parameters out(at.size());
  for (int sample = 0; sample < batch; ++sample) {
    const Parameters one = problem.sample_gradient(at, drawn, sample);
    double squares = 0.0;
    for (const double value : one) {
      squares += value * value;
    }
    const double kept = 1.0 / std::max(1.0, std::sqrt(squares) / privacy.clip);
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] += one[i] * kept;
    }
  }
  const Draw noise = drawn.of(kNoiseKey);
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i] += privacy.noise_multiplier > 0.0 ? privacy.noise_multiplier * privacy.clip * noise.of(i).normal() : 0.0;
    out[i] /= batch;
  }
  return out;
}

}  // namespace trainyard
