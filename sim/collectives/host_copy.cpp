#include "sim/collectives/host_copy.hpp"

#include <limits>

#include "sim/base/error.hpp"

namespace trainyard {

CollectivePlan plan_host_copy(const CollectiveRequest& request, const Fabric& fabric) {
  TY_ASSERT(request.members.size() == 1 && request.host.has_value());
  const DeviceId device = request.members.front();
  CollectivePlan plan;
  if (request.size.value <= 0.0) {
    return plan;
  }
  Flow copy{.from = device, .to = device, .route = fabric.host_route(device, *request.host), .bytes = request.size};
  TY_ASSERT(!copy.route.empty());
  copy.rate_limit = {std::numeric_limits<double>::infinity()};
  for (const LinkId link : copy.route) {
    plan.latency += fabric.link(link).latency;
    copy.rate_limit = min(copy.rate_limit, fabric.link(link).bandwidth);
  }
  plan.memory_traffic = request.size;  // read here, or written here
  plan.flows.push_back(std::move(copy));
  return plan;
}

}  // namespace trainyard
