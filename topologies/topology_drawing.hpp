#pragma once
// A fabric as a scalable picture: one row for each kind of vertex, links between rows weighted by bandwidth.
#include <string>

#include "topologies/fabric/fabric.hpp"

namespace trainyard {

// Vertices beyond `kDrawnNodes` nodes are left out and said so in the picture.
inline constexpr int kDrawnNodes = 16;
std::string draw_fabric(const Fabric& fabric);

}  // namespace trainyard
