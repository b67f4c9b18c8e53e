#pragma once
// A whole fabric as lists of vertices and links, routed along fewest hops.
#include "sim/base/json_reader.hpp"
#include "topologies/cluster.hpp"
#include "topologies/fabric.hpp"

namespace trainyard {

// {"vertices": [{"kind", "node"}, ...], "links": [{"from", "to", "kind", "bandwidth", "latency"}, ...], "scale_up"}.
NodeTraits custom_traits(const JsonReader& fabric);
int custom_gpus_per_node(const JsonReader& fabric);
Fabric build_custom(const JsonReader& fabric, const std::string& name, int devices);

}  // namespace trainyard
