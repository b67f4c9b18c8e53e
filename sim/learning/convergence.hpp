#pragma once
// One optimisation under several modes of synchronisation, side by side: as text, JSON, CSV and a picture.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "sim/learning/learn.hpp"

namespace trainyard {

struct ConvergenceQuestion {
  UpdateJob job;  // its mode is each of `modes` in turn
  std::vector<Synchronisation> modes;
  LearningProblem problem;
  LearningOptions learning;
  std::optional<Quadratic> quadratic;  // where the problem is one: its bound is drawn beside it
  std::optional<double> target;        // a loss
};

struct ModeOutcome {
  Synchronisation mode = Synchronisation::kSynchronous;
  UpdateTimes times;
  LearningCurve curve;
  std::optional<Seconds> to_target;
  // By point of the curve, where theorem 4.6 holds: a quadratic, whole gradients of one version, SGD of a rate up to
  // 1.
  std::vector<double> bound;
};

// Throws UserError as simulate_updates and learn do.
std::vector<ModeOutcome> converge(const ConvergenceQuestion& question);

// A line for every mode.
std::string convergence_text(const ConvergenceQuestion& question, const std::vector<ModeOutcome>& outcomes);
// An object for every mode, in SI units; names carry the unit.
Json convergence_json(const std::vector<ModeOutcome>& outcomes);
// mode,time_s,version,loss,accuracy,bound: a row for every point.
std::string convergence_csv(const std::vector<ModeOutcome>& outcomes);
// Loss (logarithmic) over simulated time; bounds are dashed.
std::string draw_convergence(std::string_view title, const std::vector<ModeOutcome>& outcomes);

}  // namespace trainyard
