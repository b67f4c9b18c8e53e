#pragma once
// Devices on a torus without any switch: the whole fabric is one "node" to the collective library.
#include "sim/base/json_reader.hpp"
#include "topologies/fabric/cluster_spec.hpp"
#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// Keys: "dimensions" (how many, 1 to 4), "bandwidth", "efficiency", "latency" of a link.
NodeTraits torus_traits(const JsonReader& torus);

// As cubic as the number of devices allows: its divisors nearest to the root of the number of dimensions.
std::vector<std::int32_t> torus_sides(int devices, int dimensions);
Fabric build_torus(const JsonReader& torus, const std::string& name, int devices);

}  // namespace trainyard
