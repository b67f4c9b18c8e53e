#include "validation/fit/minimise.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <nlopt.hpp>
#include <vector>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

struct Problem {
  std::span<const Knob> knobs;
  const std::function<double()>* loss;

  double at(const std::vector<double>& values) const {
    for (std::size_t i = 0; i < knobs.size(); ++i) {
      knobs[i].set(values[i]);
    }
    return (*loss)();
  }
};

double evaluate(const std::vector<double>& values, std::vector<double>& /*gradient*/, void* data) {
  return static_cast<const Problem*>(data)->at(values);
}

// Starting points beyond the first: the stated starts times these, dealt out in turn.
constexpr std::array<double, 4> kStartFactors = {1.0, 0.6, 1.5, 0.8};

}  // namespace

double minimise(std::span<const Knob> knobs, const std::function<double()>& loss, int starts, int evaluations) {
  TY_ASSERT(starts > 0 && evaluations > 0);
  Problem problem{.knobs = knobs, .loss = &loss};
  if (knobs.empty()) {
    return loss();
  }
  std::vector<double> lower;
  std::vector<double> upper;
  for (const Knob& knob : knobs) {
    lower.push_back(knob.smallest);
    upper.push_back(knob.largest);
  }
  std::vector<double> best;
  double best_loss = std::numeric_limits<double>::infinity();
  for (int start = 0; start < starts; ++start) {
    std::vector<double> values;
    std::vector<double> steps;
    for (std::size_t i = 0; i < knobs.size(); ++i) {
      const double factor =
          start == 0 ? 1.0 : kStartFactors[(i + static_cast<std::size_t>(start)) % kStartFactors.size()];
      values.push_back(std::clamp(knobs[i].start * factor, lower[i], upper[i]));
      steps.push_back(std::max(0.2 * std::abs(values[i]), 0.02 * (upper[i] - lower[i])));
    }
    nlopt::opt optimizer(nlopt::LN_SBPLX, static_cast<unsigned>(knobs.size()));
    optimizer.set_min_objective(evaluate, &problem);
    optimizer.set_lower_bounds(lower);
    optimizer.set_upper_bounds(upper);
    optimizer.set_initial_step(steps);
    optimizer.set_maxeval(evaluations);
    optimizer.set_xtol_rel(1e-4);
    double reached = std::numeric_limits<double>::infinity();
    try {
      optimizer.optimize(values, reached);
    } catch (const nlopt::roundoff_limited&) {
      reached = problem.at(values);  // as good as the arithmetic allows
    }
    if (reached < best_loss) {
      best_loss = reached;
      best = values;
    }
  }
  TY_ASSERT(!best.empty());  // some start has a finite loss
  return problem.at(best);
}

}  // namespace trainyard
