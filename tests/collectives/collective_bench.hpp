#pragma once
// A cluster, its fabric and a group on it, for tests.
#include <string>
#include <vector>

#include "sim/collectives/base/collective.hpp"
#include "sim/collectives/calibration.hpp"
#include "sim/collectives/plan.hpp"

namespace trainyard {

struct CollectiveBench {
  ClusterSpec cluster;
  Fabric fabric;
  std::vector<DeviceId> members;

  CollectiveBench(const std::string& name, int gpus)
      : cluster(load_cluster(name)), fabric(build_fabric(cluster, gpus)) {
    for (int i = 0; i < gpus; ++i) {
      members.push_back({i});
    }
  }

  // The library's own model, without curves fitted to measurements.
  static CollectiveOptions own_model(const std::string& version) {
    static const CollectiveCalibration kNone;
    CollectiveOptions options;
    options.nccl_version = version;
    options.calibration = &kNone;
    return options;
  }
  CollectivePlan plan(CollectiveOp op, double bytes, const CollectiveOptions& options = {}) const {
    return plan_collective({op, {bytes}, members}, cluster, fabric, options);
  }
  double time(CollectiveOp op, double bytes, const CollectiveOptions& options = {}) const {
    return uncontended_time(plan(op, bytes, options), fabric).value;
  }
};

inline constexpr double kKiB = 1024.0;
inline constexpr double kMiB = 1048576.0;
inline constexpr double kGiB = 1073741824.0;

}  // namespace trainyard
