#include "validation/fit/fit_collectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/base/si_prefixes.hpp"
#include "sim/collectives/plan.hpp"
#include "validation/tables/collective_places.hpp"
#include "validation/tables/collective_sources.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kTerms = 5;
constexpr std::size_t kFewestCalls = 6;
constexpr int kReweightings = 12;
constexpr int kSweeps = 400;
constexpr double kSmallestResidual = 0.02;  // errors below this weigh alike

using Terms = std::array<double, kTerms>;

// Belief before any row: a curve of the general kind lies within these of the next more general one, and rows scatter
// about a curve by kScatter. Rows of large sizes only then leave the latency as the tuner has it.
constexpr Terms kTermSpread = {20.0, 1.0, 0.3, 0.5, 1.0};
constexpr double kScatter = 0.05;
// Rates above three times the tuner's are not believed.
constexpr Terms kSmallest = {-1e9, 0.0, 0.3, 0.0, 0.0};
constexpr double kSmallMessage = 1048576.0;  // only rows below tell an overhead from a rate
constexpr std::size_t kFixedOnly = 1;        // how many of the leading terms a curve for all algorithms turns

Terms terms_of(const CollectiveEstimate& e) {
  const double n = e.ranks;
  return {kMicro, e.latency.value, e.transfer.value, e.transfer.value * 4.0 / (n * n),
          std::sqrt(e.latency.value * e.transfer.value)};
}

TimeCurve curve_of(const Terms& c) {
  return {.fixed_us = c[0], .latency = c[1], .transfer = c[2], .transfer_few = c[3], .mixed = c[4]};
}

Terms coefficients_of(const TimeCurve& c) {
  return {c.fixed_us, c.latency, c.transfer, c.transfer_few, c.mixed};
}

// Coordinate descent on weighted relative errors plus the pull towards `prior`; the first `turned` terms move.
TimeCurve fit_curve(std::span<const CollectiveSample* const> samples, const TimeCurve& prior,
                    std::size_t turned = kTerms) {
  const Terms centre = coefficients_of(prior);
  Terms c = centre;
  Terms pull{};
  for (std::size_t j = 0; j < kTerms; ++j) {
    pull[j] = kScatter * kScatter / (kTermSpread[j] * kTermSpread[j]);
  }
  std::vector<Terms> rows;
  std::vector<double> rest;  // of the measured time, once the fabric's paths are paid for
  for (const CollectiveSample* sample : samples) {
    Terms f = terms_of(sample->estimate);
    for (double& term : f) {
      term /= sample->row.time.value;
    }
    rows.push_back(f);
    rest.push_back(1.0 - sample->estimate.path / sample->row.time);
  }
  std::vector<double> weight(rows.size(), 1.0);
  for (int pass = 0; pass < kReweightings; ++pass) {
    for (int sweep = 0; sweep < kSweeps; ++sweep) {
      for (std::size_t j = 0; j < turned; ++j) {
        double gradient = pull[j] * centre[j];
        double curvature = pull[j];
        for (std::size_t i = 0; i < rows.size(); ++i) {
          double others = 0.0;
          for (std::size_t k = 0; k < kTerms; ++k) {
            others += k == j ? 0.0 : c[k] * rows[i][k];
          }
          gradient += weight[i] * rows[i][j] * (rest[i] - others);
          curvature += weight[i] * rows[i][j] * rows[i][j];
        }
        c[j] = std::max(kSmallest[j], gradient / curvature);
      }
    }
    double mean_weight = 0.0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      double error = -rest[i];
      for (std::size_t k = 0; k < kTerms; ++k) {
        error += c[k] * rows[i][k];
      }
      weight[i] = 1.0 / std::max(kSmallestResidual, std::abs(error));
      mean_weight += weight[i] / static_cast<double>(rows.size());
    }
    for (double& w : weight) {
      w /= mean_weight;
    }
  }
  return curve_of(c);
}

CurveKey key_of(const CollectiveSample& sample, std::optional<CollectiveOp> op) {
  return {.op = op,
          .algorithm = sample.estimate.algorithm,
          .protocol = sample.estimate.protocol,
          .many_nodes = sample.estimate.nodes > 1};
}

CollectiveOptions options_of(const CollectiveMeasurement& row, const CollectiveCalibration* calibration) {
  static const CollectiveCalibration kNone;
  CollectiveOptions options;
  options.nccl_version = row.nccl_version;
  options.calibration = calibration == nullptr ? &kNone : calibration;
  options.excluded = row.excluded;
  options.algorithm = row.algorithm;
  options.protocol = row.protocol;
  return options;
}

}  // namespace

const CollectiveLaboratory::Bench& CollectiveLaboratory::bench_for(const CollectiveMeasurement& row) {
  const std::string key = fmt::format("{} {} {} {}", row.cluster, row.ranks, row.nodes, row.gpus_per_node);
  const auto found = benches_.find(key);
  if (found != benches_.end()) {
    return found->second;
  }
  const ClusterSpec cluster = load_cluster(row.cluster, "cluster");
  CollectivePlaces places = places_of(row, cluster);
  return benches_.emplace(key, Bench{cluster, build_fabric(cluster, places.gpus), std::move(places.members)})
      .first->second;
}

CollectiveSample CollectiveLaboratory::estimate(const CollectiveMeasurement& row) {
  const Bench& bench = bench_for(row);
  return {row, estimate_collective({row.op, row.size, bench.members}, bench.cluster, bench.fabric,
                                   options_of(row, nullptr))};
}

CollectivePlan CollectiveLaboratory::plan(const CollectiveMeasurement& row, const CollectiveCalibration* calibration) {
  const Bench& bench = bench_for(row);
  return plan_collective({row.op, row.size, bench.members}, bench.cluster, bench.fabric, options_of(row, calibration));
}

Seconds CollectiveLaboratory::predict(const CollectiveMeasurement& row, const CollectiveCalibration* calibration) {
  return uncontended_time(plan(row, calibration), bench_for(row).fabric);
}

Seconds CollectiveLaboratory::predict_shipped(const CollectiveMeasurement& row) {
  const Bench& bench = bench_for(row);
  CollectiveOptions options = options_of(row, nullptr);
  options.calibration = nullptr;
  return uncontended_time(plan_collective({row.op, row.size, bench.members}, bench.cluster, bench.fabric, options),
                          bench.fabric);
}

Seconds CollectiveLaboratory::link_bound(const CollectiveMeasurement& row) {
  CollectivePlan plan = this->plan(row, nullptr);
  plan.latency = {};
  for (Flow& flow : plan.flows) {
    flow.rate_limit = {};
  }
  return uncontended_time(plan, bench_for(row).fabric);
}

CollectiveCalibration fit_collectives(const std::string& name, std::span<const CollectiveSample> samples) {
  CollectiveCalibration out{.name = name};
  std::map<CurveKey, std::vector<const CollectiveSample*>> groups;
  for (const CollectiveSample& sample : samples) {
    groups[key_of(sample, std::nullopt)].push_back(&sample);
  }
  // What all rows share first (a benchmark's own overhead), then the algorithm and protocol, then the operation.
  std::map<bool, std::vector<const CollectiveSample*>> by_span;
  for (const CollectiveSample& sample : samples) {
    by_span[sample.estimate.nodes > 1];
    if (sample.row.size.value < kSmallMessage) {
      by_span[sample.estimate.nodes > 1].push_back(&sample);
    }
  }
  std::map<bool, TimeCurve> common;
  for (const auto& [many_nodes, members] : by_span) {
    common[many_nodes] = members.size() < 2 ? TimeCurve{} : fit_curve(members, TimeCurve{}, kFixedOnly);
    out.curves.emplace_back(CurveKey{.many_nodes = many_nodes}, common[many_nodes]);
  }
  for (const auto& [key, members] : groups) {
    if (members.size() < 2) {
      continue;
    }
    const TimeCurve pooled = fit_curve(members, common[key.many_nodes]);
    out.curves.emplace_back(key, pooled);
    std::map<CollectiveOp, std::vector<const CollectiveSample*>> by_op;
    for (const CollectiveSample* sample : members) {
      by_op[sample->row.op].push_back(sample);
    }
    for (const auto& [op, rows] : by_op) {
      if (rows.size() >= kFewestCalls && by_op.size() > 1) {
        CurveKey own = key;
        own.op = op;
        out.curves.emplace_back(own, fit_curve(rows, pooled));
      }
    }
  }
  return out;
}

std::vector<std::string> fit_catalogue_calibrations(const std::vector<std::filesystem::path>& files) {
  const auto path = home_folder() / "validation/published/collectives/systems.json";
  const Json document = read_json_file(path);
  const std::vector<CollectiveMeasurement> rows = read_collectives({.files = files}).rows;
  CollectiveLaboratory laboratory;
  std::vector<std::string> names;
  for (const auto& [name, systems] : JsonReader(document, path.string()).at("calibrations").members()) {
    std::set<std::string> wanted;
    std::string listed;
    for (const JsonReader& system : systems.elements()) {
      wanted.insert(system.text());
      listed += (listed.empty() ? "" : "; ") + system.text();
    }
    std::vector<CollectiveSample> samples;
    for (const CollectiveMeasurement& row : rows) {
      if (row.why_skipped.empty() && wanted.contains(row.system)) {
        samples.push_back(laboratory.estimate(row));
      }
    }
    const std::string source =
        fmt::format("fitted to {} rows of validation/published/collectives, systems: {}", samples.size(), listed);
    const Json json = calibration_json(fit_collectives(name, samples), source);
    write_file(home_folder() / "sim/collectives/calibration" / (name + ".json"), json.dump(1) + "\n");
    names.push_back(name);
  }
  return names;
}

}  // namespace trainyard
