#pragma once
// A whole fabric as lists of vertices and links, routed along fewest hops.
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "topologies/fabric/cluster_spec.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// {"vertices": [{"kind", "node"}, ...], "links": [{"from", "to", "kind", "bandwidth", "latency"}, ...], "scale_up"}.
NodeTraits custom_traits(const JsonReader& fabric);
// Of every node that has GPUs.
std::vector<int> custom_gpus_of_nodes(const JsonReader& fabric);
Fabric build_custom(const JsonReader& fabric, const std::string& name, int devices);

}  // namespace trainyard
