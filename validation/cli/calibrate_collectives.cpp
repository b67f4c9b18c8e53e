#include "validation/cli/calibrate_collectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "validation/fit/collective_folds.hpp"
#include "validation/score/score_section.hpp"
#include "validation/tables/repeats.hpp"

namespace trainyard {
namespace {

// A curve has five coefficients (sim/collectives/calibration.hpp).
constexpr std::size_t kParameters = 5;
constexpr std::size_t kRowsPerParameter = 2;

using Rows = std::vector<CollectiveMeasurement>;

// A fit to measurements of another machine would be a fit to nothing.
void refuse_misplaced(const Rows& rows, const ClusterSpec& cluster) {
  for (const CollectiveMeasurement& row : rows) {
    if (row.misplaced) {
      throw UserError(
          {.file = row.id,
           .found = row.why_skipped,
           .allowed = fmt::format("{} of 2 ranks or more, at most {} on a node of {}",
                                  join_names(cluster.different_gpus()), cluster.gpus_per_node, cluster.name),
           .problem = "this was not measured on the cluster that is to be calibrated",
           .remedy = "name the cluster that was measured with --cluster; --any-gpu counts other GPUs too"});
    }
  }
}

void refuse_too_little(const Rows& rows, const std::map<std::string, std::size_t>& skipped, const std::string& file) {
  std::set<double> sizes;
  for (const CollectiveMeasurement& row : rows) {
    sizes.insert(row.size.value);
  }
  constexpr std::size_t kNeeded = kParameters * kRowsPerParameter;
  if (rows.size() >= kNeeded && sizes.size() >= kParameters) {
    return;
  }
  std::string found = fmt::format("{} usable rows of {} sizes", rows.size(), sizes.size());
  for (const auto& [reason, count] : skipped) {
    found += fmt::format("; {} left out: {}", count, reason);
  }
  throw UserError(
      {.file = file,
       .found = found,
       .allowed = fmt::format("{} rows or more, {} for each of a curve's {} parameters, of {} sizes or more", kNeeded,
                              kRowsPerParameter, kParameters, kParameters),
       .problem = "too little data for a fit",
       .remedy = "measure more sizes: nccl-tests -b 8 -e 1G -f 2"});
}

std::string configuration_of(const CollectiveMeasurement& row) {
  return fmt::format("{} {} of {:.0f} bytes on {} ranks of {} nodes", kCollectiveOpNames.name_of(row.op), row.dtype,
                     row.size.value, row.ranks, row.nodes);
}

Json errors(const Rows& rows, const std::vector<HeldOutCollective>& predicted) {
  constexpr double kLarge = 1048576.0;
  std::vector<ScoredRow> scored;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    scored.push_back({.score = fmt::format("{}, {}", kCollectiveOpNames.name_of(rows[i].op),
                                           rows[i].size.value >= kLarge ? "from 1 MiB" : "below 1 MiB"),
                      .measured = rows[i].time.value,
                      .predicted = predicted[i].time.value});
  }
  Json out = Json::array();
  for (const auto& [score, members] : rows_by_score(scored)) {
    out.push_back(
        score_json(score, fmt::format("{} folds by configuration", kCollectiveFolds), members.size(), members));
  }
  return out;
}

Json range_of(const Rows& rows) {
  std::map<std::pair<std::string, std::pair<int, int>>, std::pair<double, double>> ranges;
  for (const CollectiveMeasurement& row : rows) {
    const auto [range, is_new] = ranges.try_emplace(
        {std::string(kCollectiveOpNames.name_of(row.op)), {row.ranks, row.nodes}}, row.size.value, row.size.value);
    range->second.first = std::min(range->second.first, row.size.value);
    range->second.second = std::max(range->second.second, row.size.value);
  }
  Json out = Json::array();
  for (const auto& [key, range] : ranges) {
    out.push_back({{"op", key.first},
                   {"ranks", key.second.first},
                   {"nodes", key.second.second},
                   {"smallest_bytes", range.first},
                   {"largest_bytes", range.second}});
  }
  return out;
}

}  // namespace

Json calibrate_collectives(const CollectiveSources& sources) {
  TY_ASSERT(sources.cluster.has_value());
  const ClusterSpec cluster = load_cluster(*sources.cluster, "--cluster");
  MeasuredCollectives measured = read_collectives(sources);
  refuse_misplaced(measured.rows, cluster);
  Rows rows;
  std::map<std::string, std::size_t> skipped;
  std::map<std::string, std::size_t> inputs;
  std::map<std::string, std::vector<double>> repeats;
  for (CollectiveMeasurement& row : measured.rows) {
    if (!row.why_skipped.empty()) {
      ++skipped[row.why_skipped];
      continue;
    }
    ++inputs[row.file];
    repeats[configuration_of(row)].push_back(row.time.value);
    rows.push_back(std::move(row));
  }
  const std::string first = sources.files.empty() ? "" : sources.files.front().string();
  refuse_too_little(rows, skipped, first);
  check_repeats(first, repeats);

  CollectiveLaboratory laboratory;
  std::vector<CollectiveSample> samples;
  for (const CollectiveMeasurement& row : rows) {
    samples.push_back(laboratory.estimate(row));
  }
  const CollectiveCalibration calibration = fit_collectives(cluster.name, samples);
  Json out = calibration_json(calibration, fmt::format("fitted to {} measurements on {}", rows.size(), cluster.name));
  Json input_list = Json::array();
  for (const auto& [file, count] : inputs) {
    input_list.push_back({{"file", file}, {"rows", count}});
  }
  Json left_out = Json::array();
  for (const auto& [reason, count] : skipped) {
    left_out.push_back({{"reason", reason}, {"rows", count}});
  }
  out["fit"] = {{"cluster", cluster.name},
                {"inputs", std::move(input_list)},
                {"machines", std::move(measured.machines)},
                {"left_out", std::move(left_out)},
                {"cross_validated", errors(rows, predict_held_out(rows, laboratory))},
                {"valid_range", range_of(rows)}};
  return out;
}

}  // namespace trainyard
