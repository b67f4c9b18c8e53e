#include "sim/studies/scaling.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/base/effort.hpp"
#include "sim/base/fork_pool.hpp"
#include "sim/base/json_text.hpp"
#include "sim/predict/answer.hpp"
#include "sim/scenario/place.hpp"
#include "sim/scenario/read_scenario.hpp"

namespace trainyard {
namespace {

std::int64_t model_ranks(const Parallelism& layout) {
  return layout.tp * layout.pp * layout.cp;
}

// The job on so many GPUs: its replicas are what the layout leaves of them.
Json document_of(const Json& document, const ScalingPoint& point) {
  Json out = document;
  out["gpus"] = point.gpus;
  out["training"]["global_batch"] = point.global_batch;
  if (const auto layout = out.find("layout"); layout != out.end() && layout->is_object()) {
    layout->erase("dp");
  }
  return out;
}

Json breakdown_json(const Breakdown& breakdown) {
  Json out = Json::array();
  for (const Breakdown::Part& part : breakdown.parts()) {
    out.push_back(part.time.value);
  }
  return out;
}

Breakdown breakdown_of(const Json& json) {
  Breakdown breakdown;
  for (std::size_t i = 0; i < kBreakdownParts.size(); ++i) {
    breakdown.*kBreakdownParts[i] = Seconds{json.at(i).get<double>()};
  }
  return breakdown;
}

std::string refusal(std::string_view problem, std::string_view found) {
  return json_text(Json{{"refused", problem}, {"found", found}});
}

// One of so many simulations, which together may take as long as one alone.
std::string simulate_point(const ScalingJob& job, const ScalingPoint& point, std::size_t of) {
  limit_effort(kMostEvents / static_cast<double>(of));
  try {
    const Scenario scenario = read_scenario(document_of(job.document, point), job.file);
    const MemoryEstimate memory = estimate_memory(scenario, make_layout(scenario));
    if (!memory.fits()) {
      return refusal("does not fit in memory", fmt::format("{:.2f} GiB of {:.2f} GiB", memory.peak.value / 1073741824.0,
                                                           memory.capacity.value / 1073741824.0));
    }
    const Report report = answer(scenario).report;
    return Json{{"nodes", nodes_in_use(scenario.cluster, static_cast<int>(scenario.gpus)).size()},
                {"dp", scenario.layout.dp},
                {"step", report.step.value},
                {"samples", report.samples_per_second},
                {"tokens", report.tokens_per_second},
                {"breakdown", breakdown_json(report.breakdown)},
                {"memory", report.memory.peak.value}}
        .dump();
  } catch (const UserError& error) {
    const Fault& fault = error.fault();
    return refusal(fault.problem,
                   fault.pointer.empty() ? fault.found : fmt::format("{}: {}", dotted(fault.pointer), fault.found));
  } catch (const std::exception& error) {
    return refusal(error.what(), "");
  }
}

void fill(ScalingPoint& point, const std::optional<std::string>& output) {
  if (!output) {
    point.refused = "the simulation's process was ended";
    return;
  }
  const Json json = Json::parse(*output);
  if (json.contains("refused")) {
    point.refused = json.at("refused").get<std::string>();
    point.found = json.at("found").get<std::string>();
    return;
  }
  point.nodes = json.at("nodes").get<std::int64_t>();
  point.dp = json.at("dp").get<std::int64_t>();
  point.step = Seconds{json.at("step").get<double>()};
  point.samples_per_second = json.at("samples").get<double>();
  point.tokens_per_second = json.at("tokens").get<double>();
  point.breakdown = breakdown_of(json.at("breakdown"));
  point.memory = Bytes{json.at("memory").get<double>()};
}

// Samples of a step on so many GPUs. Where these hold no whole number of replicas the point is refused for that.
std::int64_t batch_on(std::int64_t gpus, std::int64_t batch, const Scenario& job, Scaling scaling) {
  if (scaling == Scaling::kStrong) {
    return batch;
  }
  const std::int64_t of_replica = batch / job.layout.dp;
  return of_replica * std::max<std::int64_t>(1, gpus / model_ranks(job.layout));
}

void check_question(const Scenario& job, const std::vector<std::int64_t>& gpus,
                    const std::vector<std::int64_t>& batches, Scaling scaling) {
  if (gpus.size() * batches.size() > kMostScalingPoints) {
    throw UserError({.file = "scale",
                     .found = fmt::format("{} numbers of GPUs, {} batches", gpus.size(), batches.size()),
                     .allowed = fmt::format("{} points", kMostScalingPoints),
                     .problem = "the sweep has too many points",
                     .remedy = "name fewer with --scale-gpus or --batches"});
  }
  for (const std::int64_t batch : batches) {
    if (scaling == Scaling::kWeak && batch % job.layout.dp != 0) {
      throw UserError({.file = "scale",
                       .found = fmt::format("{} samples on {} replicas", batch, job.layout.dp),
                       .allowed = fmt::format("a multiple of {}", job.layout.dp),
                       .problem = "weak scaling keeps a replica's share of the batch, which is no whole number",
                       .remedy = "state another global batch of the job on its own GPUs"});
    }
  }
}

// What a sample costs one GPU of the point in each part, times what its batch needs more samples than tiny ones.
struct PointCost {
  double gpus_per_sample_rate;  // GPUs over samples of a step
  double excess;
};
PointCost cost_of(const ScalingPoint& point, const std::optional<BatchStatistics>& statistics) {
  const auto batch = static_cast<double>(point.global_batch);
  return {static_cast<double>(point.gpus) / batch, statistics ? statistics->excess(batch) : 1.0};
}

// Throughput in samples that tiny batches would need.
double useful_samples_per_second(const ScalingPoint& point, const std::optional<BatchStatistics>& statistics) {
  return point.samples_per_second / cost_of(point, statistics).excess;
}

// GPU-seconds of a useful sample: c f with c = sum of parts p and f the excess of samples. From one point to the next
//   c' f' - c f = sum (p' - p) f + c' (f' - f).
std::vector<CostGrowth> growth_between(const ScalingPoint& from, const ScalingPoint& to,
                                       const std::optional<BatchStatistics>& statistics) {
  const PointCost before = cost_of(from, statistics);
  const PointCost after = cost_of(to, statistics);
  std::vector<CostGrowth> growth;
  const auto parts = from.breakdown.parts();
  const auto later = to.breakdown.parts();
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const double grown =
        later[i].time.value * after.gpus_per_sample_rate - parts[i].time.value * before.gpus_per_sample_rate;
    growth.push_back({parts[i].name, grown * before.excess});
  }
  growth.push_back({"statistics", to.step.value * after.gpus_per_sample_rate * (after.excess - before.excess)});
  std::stable_sort(growth.begin(), growth.end(), [](const CostGrowth& a, const CostGrowth& b) {
    return a.gpu_seconds_per_sample > b.gpu_seconds_per_sample;
  });
  return growth;
}

}  // namespace

std::vector<std::int64_t> default_ladder(const Scenario& job) {
  const Parallelism& layout = job.layout;
  // Experts share out the ranks of a stage anew; all replicas share out the tables of a network, however many they are.
  const std::int64_t expert_ranks = job.model.network ? 1 : layout.etp * layout.ep;
  const std::int64_t fewest = layout.pp * std::lcm(layout.tp * layout.cp, expert_ranks);
  std::vector<std::int64_t> ladder;
  for (std::int64_t gpus = fewest; gpus < job.gpus; gpus *= 2) {
    ladder.push_back(gpus);
  }
  ladder.push_back(job.gpus);
  return ladder;
}

bool ScalingStudy::any_answered() const {
  return std::any_of(curves.begin(), curves.end(), [](const ScalingCurve& curve) {
    return std::any_of(curve.points.begin(), curve.points.end(), [](const auto& point) { return point.answered(); });
  });
}

Seconds ScalingStudy::time_to_target(const ScalingPoint& point) const {
  TY_ASSERT(statistics.has_value());
  return Seconds{statistics->samples(static_cast<double>(point.global_batch)) / point.samples_per_second};
}

Uncertainty ScalingStudy::target_uncertainty(const ScalingPoint& point, std::string_view framework,
                                             const std::vector<ValidatedFamily>& accuracy) const {
  Uncertainty band = uncertainty_of(time_to_target(point), framework, accuracy);
  const double error = statistics ? statistics->error : 0.0;
  if (error > 0.0) {
    band.low /= 1.0 + error;
    if (band.high) {
      *band.high *= 1.0 + error;
    }
    band.basis += fmt::format("; the samples of the published runs were within {:.1f} % of the fit", error * 100.0);
  }
  return band;
}

void compare_points(std::vector<ScalingPoint>& points, const std::optional<BatchStatistics>& statistics) {
  const auto useful = [&statistics](const ScalingPoint& point) { return useful_samples_per_second(point, statistics); };
  const ScalingPoint* first = nullptr;
  const ScalingPoint* before = nullptr;
  for (ScalingPoint& point : points) {
    if (!point.answered()) {
      continue;
    }
    first = first == nullptr ? &point : first;
    const auto gpus = static_cast<double>(point.gpus);
    const auto first_gpus = static_cast<double>(first->gpus);
    point.efficiency = point.samples_per_second / gpus / (first->samples_per_second / first_gpus);
    if (before != nullptr) {
      point.marginal = (useful(point) - useful(*before)) / static_cast<double>(point.gpus - before->gpus) /
                       (useful(*first) / first_gpus);
    }
    before = &point;
  }
}

std::optional<Knee> knee_of(const std::vector<ScalingPoint>& points, double worth,
                            const std::optional<BatchStatistics>& statistics) {
  std::optional<Knee> knee;
  double most = 0.0;
  double of_first_gpu = 0.0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!points[i].answered()) {
      continue;
    }
    const double useful = useful_samples_per_second(points[i], statistics);
    const auto gpus = static_cast<double>(points[i].gpus);
    of_first_gpu = knee ? of_first_gpu : useful / gpus;
    const double gain = useful - worth * of_first_gpu * gpus;
    if (!knee || gain >= most) {
      knee = Knee{i, i, {}};
      most = gain;
    } else if (knee->next == knee->point) {
      knee->next = i;
    }
  }
  if (!knee || knee->next == knee->point) {
    return std::nullopt;
  }
  knee->growth = growth_between(points[knee->point], points[knee->next], statistics);
  return knee;
}

ScalingStudy study_scaling(const ScalingJob& document, const Scenario& job, const ScalingQuestion& question) {
  const std::vector<std::int64_t> gpus = question.gpus.empty() ? default_ladder(job) : question.gpus;
  const std::vector<std::int64_t> batches =
      question.batches.empty() ? std::vector<std::int64_t>{job.training.global_batch} : question.batches;
  check_question(job, gpus, batches, question.scaling);
  ScalingStudy study{.scaling = question.scaling, .worth = question.worth, .statistics = question.statistics};
  std::vector<ScalingPoint> all;
  for (const std::int64_t batch : batches) {
    for (const std::int64_t count : gpus) {
      all.push_back({.gpus = count, .global_batch = batch_on(count, batch, job, question.scaling)});
    }
  }
  const auto outputs = run_in_children(all.size(), available_processors(),
                                       [&](std::size_t i) { return simulate_point(document, all[i], all.size()); });
  for (std::size_t i = 0; i < all.size(); ++i) {
    fill(all[i], outputs[i]);
  }
  for (std::size_t i = 0; i < batches.size(); ++i) {
    const auto begin = all.begin() + static_cast<std::ptrdiff_t>(i * gpus.size());
    ScalingCurve curve{.batch = batches[i], .points = {begin, begin + static_cast<std::ptrdiff_t>(gpus.size())}};
    compare_points(curve.points, question.statistics);
    curve.knee = knee_of(curve.points, question.worth, question.statistics);
    study.curves.push_back(std::move(curve));
  }
  return study;
}

}  // namespace trainyard
