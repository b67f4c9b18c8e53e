#include "topologies/importers/scale_up.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace trainyard {

void take_scale_up_of(const LikeNode& like, const std::string& name, ImportedNode& node) {
  if (node.gpus.size() < 2) {
    return;
  }
  const NodeTraits& traits = like.shape.traits;
  const bool as_many = node.gpus.size() == like.shape.devices.size();
  if (traits.scale_up == ScaleUp::kSwitch) {
    for (ImportedNode::Gpu& gpu : node.gpus) {
      gpu.to_switch = traits.scale_up_links;
    }
  } else if (traits.scale_up == ScaleUp::kMesh && as_many) {
    for (std::size_t l = 0; l < like.shape.links.size(); l += 2) {
      const Link& link = like.shape.links[l];
      const auto end = static_cast<std::int32_t>(node.gpus.size());  // GPUs come first in every node
      if (link.kind == LinkKind::kNvLink && link.from.value < end && link.to.value < end) {
        node.bundles.push_back(
            {link.from.value, link.to.value,
             static_cast<int>(std::lround(link.bandwidth.value / traits.scale_up_link_payload.value))});
      }
    }
  } else if (traits.scale_up == ScaleUp::kMesh) {
    node.notes.push_back(
        fmt::format("the file says nothing of links between GPUs and {} has {} GPUs, not {}: PCIe only", name,
                    like.shape.devices.size(), node.gpus.size()));
    return;
  } else {
    return;
  }
  node.notes.push_back(
      fmt::format("the file says nothing of links between GPUs: those of {}; name another cluster by --like "
                  "if there are none",
                  name));
}

void note_broken_links(ImportedNode& node) {
  struct Widths {
    const ImportedNode::Gpu* fewest;
    const ImportedNode::Gpu* most;
  };
  std::map<int, Widths> planes;
  for (const ImportedNode::Gpu& gpu : node.gpus) {
    if (gpu.to_switch > 0) {
      Widths& plane = planes.try_emplace(gpu.plane, Widths{&gpu, &gpu}).first->second;
      plane.fewest = gpu.to_switch < plane.fewest->to_switch ? &gpu : plane.fewest;
      plane.most = gpu.to_switch > plane.most->to_switch ? &gpu : plane.most;
    }
  }
  for (const auto& [number, plane] : planes) {
    if (plane.fewest->to_switch < plane.most->to_switch) {
      node.notes.push_back(fmt::format("{} has {} NVLinks to the switch, {} has {}", plane.fewest->name,
                                       plane.fewest->to_switch, plane.most->name, plane.most->to_switch));
    }
  }
}

void complete_domain(const ImportBasis& basis, const LikeNode& like, ImportedNode& node) {
  const Json& document = basis.like.document;
  const std::size_t of_file = node.gpus.size();
  const std::size_t of_domain = like.shape.devices.size();
  const std::size_t of_host = document.contains("gpus_per_host") ? document["gpus_per_host"].get<std::size_t>() : 0;
  const bool switched =
      std::all_of(node.gpus.begin(), node.gpus.end(), [](const ImportedNode::Gpu& gpu) { return gpu.to_switch > 0; });
  if (of_host == 0 || of_file % of_host != 0 || of_file >= of_domain || of_domain % of_file != 0 || !switched) {
    return;
  }
  for (ImportedNode::Gpu& gpu : node.gpus) {
    gpu.plane = 0;
  }
  const ImportedNode shown = node;
  int hosts = 0;
  for (const ImportDomain& domain : shown.domains) {
    hosts = std::max(hosts, domain.host + 1);
  }
  const std::size_t copies = of_domain / of_file;
  for (std::size_t copy = 1; copy < copies; ++copy) {
    const int bridges = static_cast<int>(copy * shown.bridges.size());
    const int domains = static_cast<int>(copy * shown.domains.size());
    const auto moved = [bridges, domains](ImportPlace place) {
      place.bridge += place.bridge >= 0 ? bridges : 0;
      place.domain += domains;
      return place;
    };
    for (const ImportPlace& place : shown.bridges) {
      node.bridges.push_back(moved(place));
    }
    for (const ImportedNode::Gpu& gpu : shown.gpus) {
      node.gpus.push_back(gpu);
      node.gpus.back().place = moved(gpu.place);
    }
    for (const ImportedNode::Nic& nic : shown.nics) {
      node.nics.push_back(nic);
      node.nics.back().place = moved(nic.place);
    }
    for (const ImportDomain& domain : shown.domains) {
      node.domains.push_back(domain);
      node.domains.back().host += static_cast<int>(copy) * hosts;
    }
  }
  node.notes.push_back(
      fmt::format("the file shows {} of the {} GPUs that switches join in {}: {} such parts are taken as one node",
                  of_file, of_domain, basis.like.name, copies));
}

}  // namespace trainyard
