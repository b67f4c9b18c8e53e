#include "topologies/generators/torus.hpp"

#include <algorithm>
#include <cmath>

#include "topologies/generators/node_shape.hpp"

namespace trainyard {
namespace {

int dimensions_of(const JsonReader& torus) {
  torus.expect_keys({"dimensions", "bandwidth", "efficiency", "latency", "source"});
  return static_cast<int>(torus.at("dimensions").integer(1, 4));
}

}  // namespace

NodeTraits torus_traits(const JsonReader& torus) {
  const int dimensions = dimensions_of(torus);
  const LinkReading link = read_link(torus);
  return {.scale_up = ScaleUp::kTorus,
          .scale_up_links = 2 * dimensions,
          .scale_up_link_bandwidth = link.nominal,
          .scale_up_link_payload = link.payload};
}

std::vector<std::int32_t> torus_sides(int devices, int dimensions) {
  std::vector<std::int32_t> sides;
  int left = devices;
  for (int d = dimensions; d > 1; --d) {
    int side = std::max(1, static_cast<int>(std::floor(std::pow(static_cast<double>(left), 1.0 / d) + 1e-9)));
    while (left % side != 0) {
      --side;
    }
    sides.push_back(side);
    left /= side;
  }
  sides.push_back(left);
  return sides;
}

Fabric build_torus(const JsonReader& torus, const std::string& name, int devices) {
  const int dimensions = dimensions_of(torus);
  const LinkReading link = read_link(torus);
  TorusRouting routing{.dimensions = torus_sides(devices, dimensions)};
  std::vector<Vertex> vertices;
  std::vector<Link> links;
  for (int i = 0; i < devices; ++i) {
    vertices.push_back({.kind = VertexKind::kGpu, .node = 0, .index = i});
  }
  routing.links.assign(static_cast<std::size_t>(devices * 2 * dimensions), -1);
  for (std::int32_t i = 0; i < devices; ++i) {
    std::int32_t stride = 1;
    for (std::int32_t d = 0; d < dimensions; ++d) {
      const std::int32_t side = routing.dimensions[static_cast<std::size_t>(d)];
      const std::int32_t x = i / stride % side;
      // A side of two has one cable, not two; a side of one none.
      if (side > 1 && (side > 2 || x == 0)) {
        const std::int32_t next = i + ((x + 1) % side - x) * stride;
        const auto up = static_cast<std::int32_t>(links.size());
        links.push_back({{i}, {next}, LinkKind::kNvLink, link.payload, link.latency});
        links.push_back({{next}, {i}, LinkKind::kNvLink, link.payload, link.latency});
        routing.links[static_cast<std::size_t>(i * 2 * dimensions + 2 * d)] = up;
        routing.links[static_cast<std::size_t>(next * 2 * dimensions + 2 * d + 1)] = up + 1;
        if (side == 2) {
          routing.links[static_cast<std::size_t>(next * 2 * dimensions + 2 * d)] = up + 1;
        }
      }
      stride *= side;
    }
  }
  return Fabric(name, std::move(vertices), std::move(links), std::move(routing), static_cast<std::size_t>(devices));
}

}  // namespace trainyard
