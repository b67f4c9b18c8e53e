#include "sim/collectives/base/torus_box.hpp"

#include <set>
#include <variant>

namespace trainyard {

int TorusBox::links() const {
  int sum = 0;
  for (const std::int32_t side : sides) {
    sum += side > 2 ? 2 : 1;
  }
  return sum;
}

int TorusBox::hops() const {
  int sum = 0;
  for (const std::int32_t side : sides) {
    sum += side - 1;
  }
  return sum;
}

TorusBox torus_box(std::span<const DeviceId> devices, const Fabric& fabric) {
  const auto* torus = std::get_if<TorusRouting>(&fabric.routing());
  if (torus == nullptr) {
    return {};
  }
  TorusBox box;
  std::int32_t stride = 1;
  std::int32_t inside = 1;
  for (const std::int32_t side : torus->dimensions) {
    std::set<std::int32_t> coordinates;
    for (const DeviceId device : devices) {
      coordinates.insert(device.value / stride % side);
    }
    const auto used = static_cast<std::int32_t>(coordinates.size());
    if (used > 1) {
      box.sides.push_back(used);
      box.strides.push_back(inside);
    }
    inside *= used;
    stride *= side;
  }
  // As many devices as places: then every place of the box is taken.
  return static_cast<std::size_t>(inside) == devices.size() ? box : TorusBox{};
}

}  // namespace trainyard
