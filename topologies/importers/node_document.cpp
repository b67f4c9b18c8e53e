#include "topologies/importers/node_document.hpp"

#include <fmt/format.h>

#include "topologies/generators/node_shape.hpp"

namespace trainyard {
namespace {

std::string rate_text(BytesPerSecond rate) {
  return fmt::format("{} GB/s", rate.value / 1e9);
}

}  // namespace

int NodeDocument::add_vertex(VertexKind kind) {
  vertices_.push_back(kVertexKindNames.name_of(kind));
  return static_cast<int>(vertices_.size()) - 1;
}

void NodeDocument::add_link(int a, int b, LinkKind kind, BytesPerSecond bandwidth, Seconds latency) {
  links_.push_back({{"from", a},
                    {"to", b},
                    {"kind", kLinkKindNames.name_of(kind)},
                    {"bandwidth", rate_text(bandwidth)},
                    {"latency", fmt::format("{} us", latency.value * 1e6)}});
}

ClusterSpec NodeDocument::finish(const std::string& name, const ClusterSpec& like, const NodeTraits& traits) const {
  Json node = {{"generator", "explicit-node"},
               {"scale_up", kScaleUpNames.name_of(traits.scale_up)},
               {"scale_up_links", traits.scale_up_links},
               {"vertices", vertices_},
               {"links", links_}};
  if (traits.scale_up_links > 0) {
    node["scale_up_link_bandwidth"] = rate_text(traits.scale_up_link_bandwidth);
    node["scale_up_link_payload"] = rate_text(traits.scale_up_link_payload);
  }
  node["pcie_bandwidth"] = rate_text(traits.pcie_bandwidth);
  if (traits.nics > 0) {
    node["nics"] = {{"bandwidth", rate_text(traits.nic_bandwidth)}, {"latency", "1 us"}};
    if (like.document.contains("node") && like.document["node"].contains("nics")) {
      const Json& port = like.document["node"]["nics"];
      node["nics"]["latency"] = port["latency"];
      if (port.contains("efficiency")) {
        node["nics"]["efficiency"] = port["efficiency"];
      }
    }
  }
  Json document = like.document;
  document.erase("node_groups");
  document.erase("job_gpus_per_node");
  document.erase("gpus_per_host");
  document.erase("torus");
  document["node"] = std::move(node);
  document["description"] = fmt::format("imported from {}, what it leaves out as in {}", name, like.name);
  return read_cluster(JsonReader(document, name), name);
}

LikeRates rates_of(const ClusterSpec& like) {
  const NodeTraits& t = like.node;
  LikeRates out{.nvlink = t.scale_up_link_payload,
                .pcie = t.pcie_bandwidth,
                .between_sockets = t.cpu_interconnect_bandwidth,
                .nic = t.nic_bandwidth,
                .nvlink_latency = {1.3e-6},
                .pcie_latency = {0.5e-6}};
  // Source of the latencies: those of the catalogue's nodes. A machine unlike any with NVLink or two sockets gets
  // PCIe's rate for what `like` lacks.
  if (out.nvlink.value <= 0.0) {
    out.nvlink = out.pcie;
  }
  if (out.between_sockets.value <= 0.0) {
    out.between_sockets = out.pcie;
  }
  return out;
}

}  // namespace trainyard
