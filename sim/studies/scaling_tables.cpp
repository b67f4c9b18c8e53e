// The sweep for machines: JSON and CSV.
#include <fmt/format.h>

#include "sim/studies/scaling.hpp"

namespace trainyard {
namespace {

Json parts_json(const Breakdown& breakdown) {
  Json out = Json::object();
  for (const Breakdown::Part& part : breakdown.parts()) {
    out[std::string(part.name)] = part.time.value;
  }
  return out;
}

Json target_json(const ScalingStudy& study, const ScalingPoint& point, std::string_view framework,
                 const std::vector<ValidatedFamily>& accuracy) {
  const Seconds time = study.time_to_target(point);
  return {{"samples", study.statistics->samples(static_cast<double>(point.global_batch))},
          {"time_s", time.value},
          {"uncertainty", to_json(study.target_uncertainty(point, framework, accuracy))}};
}

Json point_json(const ScalingStudy& study, const ScalingPoint& point, std::string_view framework,
                const std::vector<ValidatedFamily>& accuracy) {
  if (!point.answered()) {
    return {
        {"gpus", point.gpus}, {"global_batch", point.global_batch}, {"refused", point.refused}, {"found", point.found}};
  }
  Json out = {{"gpus", point.gpus},
              {"nodes", point.nodes},
              {"dp", point.dp},
              {"global_batch", point.global_batch},
              {"step_time_s", point.step.value},
              {"uncertainty", to_json(uncertainty_of(point.step, framework, accuracy))},
              {"samples_per_s", point.samples_per_second},
              {"tokens_per_s", point.tokens_per_second},
              {"efficiency", point.efficiency},
              {"marginal", point.marginal ? Json(*point.marginal) : Json(nullptr)},
              {"breakdown_s", parts_json(point.breakdown)},
              {"memory_bytes", point.memory.value}};
  if (study.statistics) {
    out["target"] = target_json(study, point, framework, accuracy);
  }
  return out;
}

Json knee_json(const ScalingCurve& curve) {
  if (!curve.knee) {
    return nullptr;
  }
  Json growth = Json::object();
  for (const CostGrowth& one : curve.knee->growth) {
    growth[std::string(one.part)] = one.gpu_seconds_per_sample;
  }
  return {{"gpus", curve.points[curve.knee->point].gpus},
          {"next_gpus", curve.points[curve.knee->next].gpus},
          {"marginal", *curve.points[curve.knee->next].marginal},
          {"reason", curve.knee->growth.front().part},
          {"growth_gpu_s_per_sample", std::move(growth)}};
}

std::string quoted_field(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    out += c == '"' ? std::string("\"\"") : std::string(1, c);
  }
  return out + "\"";
}

std::string figures_csv(const ScalingStudy& study, const ScalingPoint& point) {
  std::string out = fmt::format("{},{},{},{},{},{},{},{}", point.nodes, point.dp, point.step.value,
                                point.samples_per_second, point.tokens_per_second, point.efficiency,
                                point.marginal ? fmt::format("{}", *point.marginal) : "", point.memory.value);
  for (const Breakdown::Part& part : point.breakdown.parts()) {
    out += fmt::format(",{}", part.time.value);
  }
  return out + (study.statistics ? fmt::format(",{}", study.time_to_target(point).value) : ",");
}

}  // namespace

Json scaling_json(const ScalingStudy& study, const Scenario& job, const std::vector<ValidatedFamily>& accuracy) {
  Json out = {{"scaling", kScalingNames.name_of(study.scaling)}, {"worth", study.worth}};
  if (study.statistics) {
    out["statistics"] = {{"least_samples", study.statistics->least_samples},
                         {"critical_batch", study.statistics->critical_batch}};
  }
  out["curves"] = Json::array();
  for (const ScalingCurve& curve : study.curves) {
    Json points = Json::array();
    for (const ScalingPoint& point : curve.points) {
      points.push_back(point_json(study, point, job.framework.name, accuracy));
    }
    out["curves"].push_back({{"batch", curve.batch}, {"knee", knee_json(curve)}, {"points", std::move(points)}});
  }
  return out;
}

std::string scaling_csv(const ScalingStudy& study) {
  std::string out =
      "curve_batch,gpus,global_batch,nodes,dp,step_time_s,samples_per_s,tokens_per_s,efficiency,marginal,memory_bytes";
  std::string no_figures(8, ',');
  for (const Breakdown::Part& part : Breakdown().parts()) {
    out += fmt::format(",{}_s", part.name);
    no_figures += ',';
  }
  out += ",time_to_target_s,is_knee,refused\n";
  for (const ScalingCurve& curve : study.curves) {
    for (std::size_t i = 0; i < curve.points.size(); ++i) {
      const ScalingPoint& point = curve.points[i];
      const bool is_knee = curve.knee && curve.knee->point == i;
      out += fmt::format("{},{},{},{},{},{}\n", curve.batch, point.gpus, point.global_batch,
                         point.answered() ? figures_csv(study, point) : no_figures, is_knee ? 1 : 0,
                         point.answered() ? "" : quoted_field(point.refused + " (" + point.found + ")"));
    }
  }
  return out;
}

}  // namespace trainyard
