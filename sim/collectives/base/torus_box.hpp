#pragma once
// The part of a torus that a group of devices fills: a box of it, or none.
#include <span>
#include <vector>

#include "topologies/fabric/fabric.hpp"

namespace trainyard {

struct TorusBox {
  // One entry for each dimension that has more than one coordinate; empty when the fabric is no torus or the devices
  // fill no box of it.
  std::vector<std::int32_t> sides;
  std::vector<std::int32_t> strides;  // in positions of the sorted list of devices

  int links() const;  // of a device that rings along all dimensions use: two each, one where the side is two
  int hops() const;   // of a pass that goes along one dimension after the other
};

// `devices` ascending.
TorusBox torus_box(std::span<const DeviceId> devices, const Fabric& fabric);

}  // namespace trainyard
