#pragma once
// Copies between a device and the memory of its host. A copy engine moves them: they take no SMs, but memory bandwidth
// on the device and the links between it and its socket, which NICs and neighbouring devices may share.
#include "sim/collectives/base/collective.hpp"

namespace trainyard {

// `request.host` says which way the only member's `size` goes. The payload share of the links is what pinned memory
// reaches (the cluster's "pcie" or "chip_to_chip"); pageable memory, which is slower, is not modelled.
CollectivePlan plan_host_copy(const CollectiveRequest& request, const Fabric& fabric);

}  // namespace trainyard
