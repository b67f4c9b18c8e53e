#pragma once
// How many GPUs, and what batch: one job on more and more GPUs. Model parallelism (tp, pp, cp, ep) stays as stated, the
// replicas grow.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/report/report.hpp"
#include "sim/studies/batch_statistics.hpp"

namespace trainyard {

// What stays the same while GPUs are added: the samples of a step, or those of a replica in a step.
enum class Scaling { kStrong, kWeak };
inline constexpr NameTable<Scaling, 2> kScalingNames{{{{"strong", Scaling::kStrong}, {"weak", Scaling::kWeak}}}};

inline constexpr std::size_t kMostScalingPoints = 200;

struct ScalingQuestion {
  Scaling scaling = Scaling::kStrong;
  std::vector<std::int64_t> gpus;     // ascending; empty: doublings up to those of the job
  std::vector<std::int64_t> batches;  // of the job on its own GPUs, a curve each; empty: its own
  double worth = 0.5;                 // see knee_of()
  std::optional<BatchStatistics> statistics;
};

// One job of the sweep. What `run` would refuse, or what does not fit, has the reason in place of figures.
struct ScalingPoint {
  std::int64_t gpus = 0;
  std::int64_t global_batch = 0;
  std::string refused;  // empty: the figures below are there
  std::string found;    // what was refused
  std::int64_t nodes = 0;
  std::int64_t dp = 0;
  Seconds step{};
  double samples_per_second = 0.0;
  double tokens_per_second = 0.0;
  Breakdown breakdown;  // averages over GPUs, as `run` gives them
  Bytes memory{};       // peak of the fullest stage
  // Throughput per GPU over that of the curve's first point; 1 is linear.
  double efficiency = 0.0;
  // What the GPUs added since the point before bring each, over what each of the first point's does: in throughput,
  // or where there are statistics in throughput of samples that tiny batches would need. Nothing at the first point.
  std::optional<double> marginal;

  bool answered() const { return refused.empty(); }
};

// What grew between two points, in seconds of one GPU for each sample that a tiny batch would need.
struct CostGrowth {
  std::string_view part;  // of the breakdown, or "statistics"
  double gpu_seconds_per_sample = 0.0;
};

// The last point that pays.
struct Knee {
  std::size_t point = 0;
  std::size_t next = 0;            // that does not pay any more
  std::vector<CostGrowth> growth;  // from one to the other, largest first: the first is the reason
};

struct ScalingCurve {
  std::int64_t batch = 0;  // of the job on its own GPUs
  std::vector<ScalingPoint> points;
  std::optional<Knee> knee;  // nothing: all points pay
};

struct ScalingStudy {
  Scaling scaling = Scaling::kStrong;
  double worth = 0.5;
  std::optional<BatchStatistics> statistics;
  std::vector<ScalingCurve> curves;

  bool any_answered() const;
  // Time to the target of a point. Only with statistics.
  Seconds time_to_target(const ScalingPoint& point) const;
  // Where it would lie: between the step's band and how far the samples may be off, both at their worst.
  Uncertainty target_uncertainty(const ScalingPoint& point, std::string_view framework,
                                 const std::vector<ValidatedFamily>& accuracy) const;
};

// The question as a document, and the file that errors name.
struct ScalingJob {
  Json document;  // a scenario that says model, cluster and gpus
  std::string file;
};

// Doublings of the fewest GPUs that the layout takes, up to those of the job, which are the last.
std::vector<std::int64_t> default_ladder(const Scenario& job);

// Simulates every point, in children. `job` is the document as it was read (read_job). Throws UserError where the
// question has more than kMostScalingPoints, or where a weak batch is no whole number for each replica.
ScalingStudy study_scaling(const ScalingJob& document, const Scenario& job, const ScalingQuestion& question);

// Fills efficiency and marginal of points with figures, in ascending order of GPUs.
void compare_points(std::vector<ScalingPoint>& points, const std::optional<BatchStatistics>& statistics);
// The point whose throughput less `worth` of linear throughput is the largest: from there to no later point do GPUs
// added bring `worth` of what each of the first point's brings, while they do on the way there. A step that costs once,
// as from one node to two, is passed where later ones make up for it. Nothing where that is the last point.
std::optional<Knee> knee_of(const std::vector<ScalingPoint>& points, double worth,
                            const std::optional<BatchStatistics>& statistics);

// The sweep as a table, its knees in words; `bands` is what uncertainty rests on.
std::string scaling_text(const ScalingStudy& study, const Scenario& job, const std::vector<ValidatedFamily>& accuracy);
Json scaling_json(const ScalingStudy& study, const Scenario& job, const std::vector<ValidatedFamily>& accuracy);
// A row for every point; RFC 4180.
std::string scaling_csv(const ScalingStudy& study);
// Throughput and efficiency over GPUs, a line for each curve, the knees ringed.
std::string draw_scaling(const ScalingStudy& study, std::string_view title);

}  // namespace trainyard
