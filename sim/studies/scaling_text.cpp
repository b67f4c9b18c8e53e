#include <fmt/format.h>

#include <algorithm>

#include "sim/base/quantity_text.hpp"
#include "sim/studies/scaling.hpp"

namespace trainyard {
namespace {

// Parts of the step that any point has, each a column.
std::vector<std::size_t> parts_shown(const ScalingStudy& study) {
  constexpr double kLeastShare = 0.0005;  // would be shown as 0.0 %
  std::vector<std::size_t> shown;
  for (std::size_t part = 0; part < Breakdown().parts().size(); ++part) {
    bool any = false;
    for (const ScalingCurve& curve : study.curves) {
      for (const ScalingPoint& point : curve.points) {
        any = any || (point.answered() && point.breakdown.parts()[part].time > point.step * kLeastShare);
      }
    }
    if (any) {
      shown.push_back(part);
    }
  }
  return shown;
}

std::string share_text(double share) {
  return fmt::format("{:.1f} %", 100.0 * share);
}

// A length of time that may be days.
std::string long_time_text(Seconds time) {
  constexpr double kHour = 3600.0;
  constexpr double kDay = 86400.0;
  return time.value >= 2.0 * kDay    ? fmt::format("{:.1f} days", time.value / kDay)
         : time.value >= 2.0 * kHour ? fmt::format("{:.1f} h", time.value / kHour)
                                     : to_text(time);
}

std::string head_text(const ScalingStudy& study, const std::vector<std::size_t>& parts) {
  std::string out = fmt::format("  {:>7} {:>6} {:>6} {:>8} {:>10} {:>11} {:>11} {:>10} {:>8}", "GPUs", "nodes", "dp",
                                "batch", "step", "samples/s", "tokens/s", "efficiency", "added");
  for (const std::size_t part : parts) {
    out += fmt::format(" {:>10}", Breakdown().parts()[part].name);
  }
  out += fmt::format(" {:>10}", "memory");
  return out + (study.statistics ? fmt::format(" {:>12}\n", "to target") : "\n");
}

std::string row_text(const ScalingStudy& study, const ScalingPoint& point, const std::vector<std::size_t>& parts) {
  if (!point.answered()) {
    constexpr std::size_t kMostShown = 100;
    const std::string found = point.found.substr(0, kMostShown);
    return fmt::format("  {:>7}  {}{}\n", point.gpus, point.refused, found.empty() ? "" : " (" + found + ")");
  }
  std::string out =
      fmt::format("  {:>7} {:>6} {:>6} {:>8} {:>10} {:>11.2f} {:>11.0f} {:>10} {:>8}", point.gpus, point.nodes,
                  point.dp, point.global_batch, to_text(point.step), point.samples_per_second, point.tokens_per_second,
                  share_text(point.efficiency), point.marginal ? share_text(*point.marginal) : "");
  for (const std::size_t part : parts) {
    out += fmt::format(" {:>10}", share_text(point.breakdown.parts()[part].time / point.step));
  }
  out += fmt::format(" {:>10}", to_text(point.memory));
  return out + (study.statistics ? fmt::format(" {:>12}\n", long_time_text(study.time_to_target(point))) : "\n");
}

std::string knee_text(const ScalingStudy& study, const ScalingCurve& curve) {
  if (!curve.knee) {
    const auto answered =
        std::count_if(curve.points.begin(), curve.points.end(), [](const auto& point) { return point.answered(); });
    return answered < 2
               ? "  no knee: fewer than two points to compare\n"
               : fmt::format(
                     "  no knee: up to the last point GPUs added bring {} or more of what the first ones bring\n",
                     share_text(study.worth));
  }
  const ScalingPoint& at = curve.points[curve.knee->point];
  const ScalingPoint& next = curve.points[curve.knee->next];
  const CostGrowth& reason = curve.knee->growth.front();
  return fmt::format(
      "  knee at {} GPUs: those added up to {} bring {} of what the first ones bring, less than {}\n"
      "  reason: {}, which grows by {} of one GPU for a sample\n",
      at.gpus, next.gpus, share_text(*next.marginal), share_text(study.worth), reason.part,
      to_text(Seconds{reason.gpu_seconds_per_sample}));
}

// The answered point of all curves that reaches the target first, or where there is no target the throughput.
std::string fastest_text(const ScalingStudy& study, std::string_view framework,
                         const std::vector<ValidatedFamily>& accuracy) {
  const ScalingPoint* best = nullptr;
  for (const ScalingCurve& curve : study.curves) {
    for (const ScalingPoint& point : curve.points) {
      if (point.answered() && (best == nullptr || study.time_to_target(point) < study.time_to_target(*best))) {
        best = &point;
      }
    }
  }
  const Seconds time = study.time_to_target(*best);
  const Uncertainty band = study.target_uncertainty(*best, framework, accuracy);
  return fmt::format("\nsoonest at the target: {} GPUs, batch {}: {}{}\n", best->gpus, best->global_batch,
                     long_time_text(time),
                     band.high ? fmt::format(" ({} to {})", long_time_text(band.low), long_time_text(*band.high)) : "");
}

}  // namespace

std::string scaling_text(const ScalingStudy& study, const Scenario& job, const std::vector<ValidatedFamily>& accuracy) {
  const Parallelism& layout = job.layout;
  std::string out = fmt::format("{} on {}, {}: {} scaling\n", job.model.name, job.cluster.name, job.framework.name,
                                kScalingNames.name_of(study.scaling));
  const bool shares_tables = job.model.network && job.model.network->has_tables();
  out += fmt::format("  kept      tp {}  pp {}  cp {}  ep {}  micro-batch {}\n", layout.tp, layout.pp, layout.cp,
                     shares_tables ? "dp" : fmt::format("{}", layout.ep), job.training.micro_batch);
  if (study.statistics) {
    out += fmt::format("  samples to the target: {:.4g} x (1 + batch / {:.4g})\n", study.statistics->least_samples,
                       study.statistics->critical_batch);
  }
  const std::vector<std::size_t> parts = parts_shown(study);
  for (const ScalingCurve& curve : study.curves) {
    out += study.scaling == Scaling::kStrong
               ? fmt::format("\nglobal batch {}\n", curve.batch)
               : fmt::format("\n{} samples a replica in a step\n", curve.batch / layout.dp);
    out += head_text(study, parts);
    for (const ScalingPoint& point : curve.points) {
      out += row_text(study, point, parts);
    }
    out += knee_text(study, curve);
  }
  if (study.statistics) {
    out += fastest_text(study, job.framework.name, accuracy);
  }
  return out + fmt::format("\nhow far steps may be off: {}\n",
                           uncertainty_of(Seconds{1.0}, job.framework.name, accuracy).basis);
}

}  // namespace trainyard
