#include "topologies/importers/like_rates.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/base/error.hpp"
#include "sim/base/quantity_text.hpp"

namespace trainyard {
namespace {

LinkRate rate_in(const Json& entry, const std::string& file) {
  const LinkReading reading = read_link(JsonReader(entry, file));
  return {reading.nominal / reading.links, reading.payload / reading.nominal, reading.latency};
}

// Generators keep a rate under its own key, explicit nodes on every link.
std::optional<LinkRate> find_rate(const Json& node, const char* key, LinkKind kind, const std::string& file) {
  if (node.contains(key) && node[key].contains("bandwidth")) {
    return rate_in(node[key], file);
  }
  for (const Json& link : node.contains("links") ? node["links"] : Json::array()) {
    if (link["kind"] == kLinkKindNames.name_of(kind)) {
      return rate_in(link, file);
    }
  }
  return std::nullopt;
}

// The GPU that the links belong to: that of `like`, unless the file's GPUs are of another generation.
GpuLinks gpu_of_file(const ImportBasis& basis, int compute_capability, std::vector<std::string>& notes) {
  if (compute_capability == 0 || compute_capability == basis.gpu.compute_capability) {
    return basis.gpu;
  }
  std::optional<GpuLinks> found;
  for (const GpuLinks& gpu : basis.known) {
    if (gpu.compute_capability == compute_capability && gpu.links > 0) {
      if (!found) {
        found = gpu;
      }
      found->links = std::max(found->links, gpu.links);
    }
  }
  notes.push_back(
      fmt::format("the file's GPUs are of compute capability {}, {} is of {}: kernels are predicted for {}, "
                  "links between GPUs taken as those of {}",
                  compute_capability, basis.gpu.name, basis.gpu.compute_capability, basis.gpu.name,
                  found ? found->name : basis.gpu.name));
  return found.value_or(basis.gpu);
}

}  // namespace

LikeNode node_of(const ClusterSpec& like, const std::string& file) {
  const bool groups = like.document.contains("node_groups");
  if (!groups && !like.document.contains("node")) {
    throw UserError({.file = file,
                     .pointer = "--like",
                     .found = like.name,
                     .allowed = "a cluster of nodes",
                     .problem = "a node can't be imported into a cluster that has no nodes (a torus or a whole fabric)",
                     .remedy = "name another cluster of the catalogue (list clusters)"});
  }
  LikeNode out{.document = groups ? like.document["node_groups"][0]["node"] : like.document["node"]};
  out.shape = make_node(JsonReader(out.document, like.name));
  out.sockets =
      std::max(1, static_cast<int>(std::count_if(out.shape.vertices.begin(), out.shape.vertices.end(),
                                                 [](const Vertex& v) { return v.kind == VertexKind::kCpu; })));
  return out;
}

LikeRates rates_of(const ImportBasis& basis, const LikeNode& node, int compute_capability,
                   std::vector<std::string>& notes) {
  const std::string& name = basis.like.name;
  // Source of the latencies: those of the catalogue's nodes.
  const LinkRate slow_slot{.nominal = {15.75e9}, .efficiency = 0.8, .latency = {0.5e-6}};
  LikeRates out;
  out.pcie = find_rate(node.document, "pcie", LinkKind::kPcie, name).value_or(slow_slot);
  // A machine unlike any with two sockets gets PCIe's rate between them.
  out.sockets = find_rate(node.document, "cpus", LinkKind::kCpuInterconnect, name).value_or(out.pcie);
  out.chip_to_chip = find_rate(node.document, "chip_to_chip", LinkKind::kChipToChip, name);
  const GpuLinks gpu = gpu_of_file(basis, compute_capability, notes);
  out.most_links = gpu.links;
  out.scale_up_from = gpu.name;
  for (const GpuLinks& known : basis.known) {
    if (known.vendor == gpu.vendor && known.compute_capability == gpu.compute_capability) {
      out.usual_links.push_back(known.links);
    }
  }
  const auto own = find_rate(node.document, "nvlink", LinkKind::kNvLink, name);
  if (own) {
    out.scale_up = *own;
  } else if (basis.linked) {
    const LikeNode other = node_of(*basis.linked, basis.linked->name);
    out.scale_up = find_rate(other.document, "nvlink", LinkKind::kNvLink, basis.linked->name).value_or(out.pcie);
  }
  // The rate is the GPU's own, except that a cluster may state what its links of this GPU run at.
  if (gpu.links > 0 && (!own || gpu.name != basis.gpu.name)) {
    out.scale_up.nominal = gpu.bandwidth;
  }
  return out;
}

}  // namespace trainyard
