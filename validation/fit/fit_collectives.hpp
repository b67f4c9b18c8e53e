#pragma once
// Fitting the time curves of sim/collectives/calibration to measurements.
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "sim/collectives/calibration.hpp"
#include "sim/collectives/plan.hpp"
#include "validation/tables/collective_measurements.hpp"

namespace trainyard {

// A measurement beside what the tuner says about it.
struct CollectiveSample {
  CollectiveMeasurement row;
  CollectiveEstimate estimate;
};

// Builds the fabrics the rows need once and asks the tuner about each row that is not skipped.
class CollectiveLaboratory {
 public:
  CollectiveSample estimate(const CollectiveMeasurement& row);
  // Predicted time with a calibration; null: the library's own model.
  CollectivePlan plan(const CollectiveMeasurement& row, const CollectiveCalibration* calibration);
  Seconds predict(const CollectiveMeasurement& row, const CollectiveCalibration* calibration);
  // Predicted time as a user gets it: with the calibration that the cluster names.
  Seconds predict_shipped(const CollectiveMeasurement& row);
  // The least time the links allow for the plan's bytes, whatever the library.
  Seconds link_bound(const CollectiveMeasurement& row);

 private:
  struct Bench {
    ClusterSpec cluster;
    Fabric fabric;
    std::vector<DeviceId> members;
  };
  const Bench& bench_for(const CollectiveMeasurement& row);

  std::map<std::string, Bench> benches_;
};

// Least squares of relative errors, reweighted towards least absolute ones, on the coefficients of TimeCurve. The fixed
// time is what all rows share first (a benchmark's own overhead); a curve for each (algorithm, protocol, one or many
// nodes) starts from it, a curve for one operation from that, each held to the one before as strongly as a belief about
// its spread says. An operation needs six rows of its own and no curve rests on a single row.
CollectiveCalibration fit_collectives(const std::string& name, std::span<const CollectiveSample> samples);

// Calibrations that systems.json lists with the systems each is fitted to; writes
// sim/collectives/calibration/<name>.json below the home folder and returns their names.
std::vector<std::string> fit_catalogue_calibrations(const std::vector<std::filesystem::path>& files);

}  // namespace trainyard
