#include "validation/fit/collective_folds.hpp"

#include <map>
#include <tuple>

namespace trainyard {
namespace {

// Configurations in the order of (operation, ranks, size) are dealt out in turn, so that every fold spans all sizes.
std::vector<std::size_t> folds_of(const std::vector<CollectiveMeasurement>& rows) {
  std::map<std::tuple<CollectiveOp, int, double>, std::size_t> configurations;
  for (const CollectiveMeasurement& row : rows) {
    configurations[{row.op, row.ranks, row.size.value}] = 0;
  }
  std::size_t next = 0;
  for (auto& [configuration, fold] : configurations) {
    // Source of the stride: any number coprime to the folds; two steps apart keeps neighbours in different folds.
    fold = next++ * 2 % kCollectiveFolds;
  }
  std::vector<std::size_t> folds;
  for (const CollectiveMeasurement& row : rows) {
    folds.push_back(configurations.at({row.op, row.ranks, row.size.value}));
  }
  return folds;
}

}  // namespace

std::vector<HeldOutCollective> predict_held_out(const std::vector<CollectiveMeasurement>& rows,
                                                CollectiveLaboratory& laboratory) {
  std::vector<HeldOutCollective> out(rows.size());
  const std::vector<std::size_t> folds = folds_of(rows);
  for (std::size_t fold = 0; fold < kCollectiveFolds; ++fold) {
    std::vector<CollectiveSample> seen;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (folds[i] != fold) {
        seen.push_back(laboratory.estimate(rows[i]));
      }
    }
    const CollectiveCalibration calibration = fit_collectives("fold", seen);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (folds[i] == fold) {
        out[i] = {.time = laboratory.predict(rows[i], &calibration), .plan = laboratory.plan(rows[i], &calibration)};
      }
    }
  }
  return out;
}

}  // namespace trainyard
