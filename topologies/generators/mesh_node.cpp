// GPUs joined by direct point-to-point bundles (hybrid cube mesh, NVLink bridges, xGMI): "mesh" lists
// [gpu, gpu, number of links], or is "full" for one link between every pair.
#include <algorithm>

#include "topologies/generators/node_shape.hpp"

namespace trainyard {

NodeShape make_mesh_node(const JsonReader& node) {
  node.expect_keys({"generator", "gpus", "nvlink", "mesh", "pcie", "chip_to_chip", "cpus", "host", "nics", "source"});
  NodeShape shape;
  const int gpus = static_cast<int>(node.at("gpus").integer(1, 1024));
  for (int g = 0; g < gpus; ++g) {
    shape.add_vertex(VertexKind::kGpu);
  }
  const JsonReader nvlink = node.at("nvlink");
  nvlink.expect_keys({"bandwidth", "efficiency", "latency", "source"});
  const LinkReading link = read_link(nvlink);
  std::vector<int> links_of(static_cast<std::size_t>(gpus));
  const auto join = [&](int a, int b, int bundle) {
    shape.add_link(a, b, LinkKind::kNvLink, link.payload * bundle, link.latency);
    links_of[static_cast<std::size_t>(a)] += bundle;
    links_of[static_cast<std::size_t>(b)] += bundle;
  };
  const JsonReader mesh = node.at("mesh");
  if (mesh.value().is_string()) {
    if (mesh.text() != "full") {
      mesh.fail("unknown mesh", "\"full\" or a list of [gpu, gpu, links]");
    }
    for (int a = 0; a < gpus; ++a) {
      for (int b = a + 1; b < gpus; ++b) {
        join(a, b, 1);
      }
    }
  } else {
    for (const JsonReader& bundle : mesh.elements()) {
      const std::vector<JsonReader> fields = bundle.elements();
      if (fields.size() != 3) {
        bundle.fail("a bundle has three numbers", "[gpu, gpu, links]");
      }
      const int a = static_cast<int>(fields[0].integer(0, gpus - 1));
      const int b = static_cast<int>(fields[1].integer(0, gpus - 1));
      if (a == b) {
        bundle.fail("a link joins two different GPUs", "[gpu, gpu, links]");
      }
      join(a, b, static_cast<int>(fields[2].integer(1, 1024)));
    }
  }
  shape.traits.scale_up = ScaleUp::kMesh;
  shape.traits.scale_up_links = *std::max_element(links_of.begin(), links_of.end());
  shape.traits.scale_up_link_bandwidth = link.nominal;
  shape.traits.scale_up_link_payload = link.payload;
  add_host(shape, node);
  return shape;
}

}  // namespace trainyard
