#pragma once
// An optimisation that is really run, in the order of updates that was simulated: every gradient is computed at the
// parameters that its worker had, and applied to those that the servers had when it arrived.
#include <optional>
#include <vector>

#include "sim/learning/update_rule.hpp"
#include "sim/updates/update_job.hpp"
#include "sim/updates/update_times.hpp"

namespace trainyard {

// What DiLoCo has beside: workers' own steps, and those of their mean change. Source: Douillard et al., "DiLoCo:
// Distributed low-communication training of language models", arXiv 2311.08105 (AdamW; Nesterov of 0.7 and 0.9).
struct DilocoOptions {
  UpdateRule inner_rule = UpdateRule::kAdamw;
  double inner_rate = 0.1;
  double outer_rate = 0.7;
  double outer_momentum = 0.9;
};

// Gradients of single samples are cut to a norm, and their mean gets normal noise. Source: Abadi et al., "Deep learning
// with differential privacy", CCS 2016, arXiv 1607.00133, algorithm 1.
struct Privacy {
  double clip = 1.0;              // the norm
  double noise_multiplier = 0.0;  // standard deviation of the noise on the sum, of the norm
};
Parameters private_gradient(const LearningProblem& problem, const Privacy& privacy, const Parameters& at,
                            const Draw& drawn, int batch);

struct LearningOptions {
  UpdateRule rule = UpdateRule::kSgd;
  double learning_rate = 0.1;  // of every update, whatever the mode
  int batch = 32;              // samples of one worker's iteration
  std::uint64_t seed = 0;
  DilocoOptions diloco;
  std::optional<Privacy> privacy;
  int points = 200;  // about how many of the curve are wanted, beside its first and its last
};

struct LearningPoint {
  Seconds time{};
  int version = 0;  // updates until then
  double loss = 0.0;
  std::optional<double> accuracy;
};

struct LearningCurve {
  std::vector<LearningPoint> points;  // from the start; the last one that is finite where it diverged
  bool diverged = false;              // the loss left the numbers
  std::optional<double> sent_share;   // of the values of compressed messages, those that are not zero
};

// `times` are those of simulate_updates(job). With local steps every worker keeps its optimizer's state, but a client
// of a federation, which is rarely the same twice, begins anew; parameters alone are averaged. With gossip the loss is
// that of the workers' mean. Throws UserError where it would take too long (sim/base/effort.hpp).
LearningCurve learn(const LearningProblem& problem, const LearningOptions& options, const UpdateJob& job,
                    const UpdateTimes& times);

// When the loss was first at the target or below, in a point of the curve.
std::optional<Seconds> time_to_loss(const LearningCurve& curve, double target);

}  // namespace trainyard
