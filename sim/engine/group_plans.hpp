#pragma once
// What every group of a program's communications costs, with each price worked out once.
#include <map>
#include <vector>

#include "sim/collectives/network_costs.hpp"
#include "sim/program/program.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// A plan by its members' positions in the group, for every group of the same shape.
struct GroupPlan {
  struct Edge {
    std::int32_t from;
    std::int32_t to;
    Bytes bytes;
    BytesPerSecond rate_limit;
  };
  Seconds latency{};
  Seconds alone{};  // until the flows are over when nothing else flows, counted from the latency's end
  int multiprocessors = 0;
  BytesPerSecond memory_rate{};  // while the call runs, at its own pace
  std::vector<Edge> edges;
};

// Whether GroupPlan::alone is worked out.
enum class TimeAlone { kUnasked, kAsked };

// Groups that lie alike in like nodes have one plan.
class GroupPlanner {
 public:
  GroupPlanner(const Fabric& fabric, const NetworkCosts& costs, TimeAlone alone);

  // `members` are the devices of one group, in group order. Plans are remembered for one communication at a time.
  const GroupPlan& plan(const Communication& communication, const std::vector<DeviceId>& members);
  void forget() { known_.clear(); }

 private:
  void add_way(DeviceId from, DeviceId to);

  const Fabric& fabric_;
  const NetworkCosts& costs_;
  TimeAlone alone_;
  std::vector<std::int32_t> kinds_;
  std::vector<double> shape_;
  std::map<std::vector<double>, GroupPlan> known_;
};

}  // namespace trainyard
