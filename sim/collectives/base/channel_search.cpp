#include "sim/collectives/base/channel_search.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/error.hpp"
#include "sim/base/si_prefixes.hpp"
#include "sim/collectives/base/torus_box.hpp"

namespace trainyard {
namespace {

constexpr int kMostGraphChannels = 32;  // Source: NCCL 2.30 src/include/device.h, MAXCHANNELS / 2 for the ring search
// GB/s of the one channel that is left where none of the list's speeds fits. Source: NCCL 2.30 src/graph/search.cc, the
// simple order of ncclTopoCompute.
constexpr double kSimpleOrderSpeed = 0.1;

// The speed of the list that carries most when as many channels as fit share `capacity`; NCCL tries fast ones first.
// However slow a link is, one channel is left.
ChannelGraph fit_channels(double capacity, const std::vector<double>& speeds, int most) {
  ChannelGraph best{.channels = 1, .intra = kSimpleOrderSpeed, .inter = kSimpleOrderSpeed};
  for (const double speed : speeds) {
    const int fit = std::min(most, static_cast<int>(std::floor(capacity / speed + 1e-9)));
    if (fit * speed > best.bandwidth() + 1e-9) {
      best = {.channels = fit, .intra = speed, .inter = speed};
    }
  }
  return best;
}

// Source: NCCL 2.30 src/graph/search.cc, the last step of ncclTopoCompute.
void duplicate_fast_channels(ChannelGraph& graph, int compute_capability) {
  const bool keep = compute_capability > 80 && graph.intra < 50.0 && graph.channels > 4;
  if (graph.intra >= 25.0 && !keep && graph.channels * 2 <= kMostGraphChannels) {
    graph.channels *= 2;
    graph.intra /= 2.0;
    graph.inter /= 2.0;
  }
}

// Bundles between members of a node, in links of the catalogue's link rate.
std::vector<std::vector<int>> mesh_links(const MemberNode& node, const ClusterSpec& cluster, const Fabric& fabric) {
  const std::size_t n = node.members.size();
  std::vector<std::vector<int>> links(n, std::vector<int>(n));
  const double payload_of_one = cluster.node.scale_up_link_payload.value;
  TY_ASSERT(payload_of_one > 0.0);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < n; ++b) {
      if (a == b) {
        continue;
      }
      const std::vector<LinkId> route = fabric.route(node.members[a], node.members[b]);
      if (route.size() == 1 && fabric.link(route.front()).kind == LinkKind::kNvLink) {
        links[a][b] = static_cast<int>(std::lround(fabric.link(route.front()).bandwidth.value / payload_of_one));
      }
    }
  }
  return links;
}

// The Hamiltonian cycle that leaves the fullest links, by depth-first search; nodes of a mesh have at most 16 GPUs.
struct CycleSearch {
  const std::vector<std::vector<int>>& links;
  std::vector<int> path;
  std::vector<int> best;
  int best_spare = -1;
  int ceiling = 0;  // no cycle can spare more: the search may stop there

  void extend() {
    const std::size_t n = links.size();
    const auto last = static_cast<std::size_t>(path.back());
    if (path.size() == n) {
      if (links[last][0] > 0) {
        int spare = links[last][0];
        for (std::size_t i = 0; i + 1 < n; ++i) {
          spare += links[static_cast<std::size_t>(path[i])][static_cast<std::size_t>(path[i + 1])];
        }
        if (spare > best_spare) {
          best_spare = spare;
          best = path;
        }
      }
      return;
    }
    if (best_spare == ceiling) {
      return;
    }
    for (std::size_t next = 1; next < n; ++next) {
      if (links[last][next] > 0 && std::find(path.begin(), path.end(), static_cast<int>(next)) == path.end()) {
        path.push_back(static_cast<int>(next));
        extend();
        path.pop_back();
      }
    }
  }
};

// Whether a peer GPU can forward between two members over NVLink (NCCL's NVB path).
std::vector<std::vector<int>> links_with_forwarding(const MemberNode& node, const Fabric& fabric) {
  const std::size_t n = node.members.size();
  std::vector<std::vector<int>> links(n, std::vector<int>(n));
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t b = 0; b < n; ++b) {
      const std::vector<LinkId> route = fabric.route(node.members[a], node.members[b]);
      const bool nvlink = std::all_of(route.begin(), route.end(),
                                      [&](LinkId link) { return fabric.link(link).kind == LinkKind::kNvLink; });
      links[a][b] = a != b && nvlink && route.size() <= 2 ? 1 : 0;
    }
  }
  return links;
}

// Peels rings off the mesh, one link of each bundle and direction a ring; each ring also runs backwards.
std::vector<std::vector<int>> mesh_rings(std::vector<std::vector<int>> links) {
  std::vector<std::vector<int>> rings;
  const std::size_t n = links.size();
  if (n < 2 || n > 8) {
    return rings;
  }
  while (true) {
    CycleSearch search{.links = links, .path = {0}};
    for (const std::vector<int>& row : links) {
      search.ceiling += *std::max_element(row.begin(), row.end());
    }
    search.extend();
    if (search.best.empty()) {
      return rings;
    }
    for (std::size_t i = 0; i < n; ++i) {
      const auto a = static_cast<std::size_t>(search.best[i]);
      const auto b = static_cast<std::size_t>(search.best[(i + 1) % n]);
      --links[a][b];
      if (n > 2) {
        --links[b][a];
      }
    }
    rings.push_back(search.best);
    if (n > 2) {
      rings.emplace_back(search.best.rbegin(), search.best.rend());
    }
  }
}

// Links of the narrowest member to the switches that join all members of a node, in links of the catalogue's rate; 0
// where something else joins them.
int switch_links(const MemberGroups& groups, const ClusterSpec& cluster, const Fabric& fabric) {
  int narrowest = cluster.node.scale_up_links;
  const auto* nodes = std::get_if<NodeRouting>(&fabric.routing());
  if (nodes == nullptr || std::all_of(nodes->shapes.begin(), nodes->shapes.end(),
                                      [](const NodePaths& shape) { return shape.peers_joined; })) {
    return narrowest;
  }
  for (const MemberNode& node : groups.nodes) {
    for (std::size_t m = 1; m < node.members.size(); ++m) {
      for (const LinkId id : fabric.route(node.members.front(), node.members[m])) {
        const Link& link = fabric.link(id);
        if (link.kind != LinkKind::kNvLink) {
          return 0;
        }
        const double links = link.bandwidth.value / cluster.node.scale_up_link_payload.value;
        narrowest = std::min(narrowest, static_cast<int>(std::lround(links)));
      }
    }
  }
  return narrowest;
}

// NICs that the members of the emptiest node own.
int usable_nics(const MemberGroups& groups, const Fabric& fabric) {
  const auto emptiest =
      std::min_element(groups.nodes.begin(), groups.nodes.end(),
                       [](const MemberNode& a, const MemberNode& b) { return a.members.size() < b.members.size(); });
  std::vector<int> rails;
  for (const DeviceId member : emptiest->members) {
    rails.push_back(fabric.rail_of(member));
  }
  std::sort(rails.begin(), rails.end());
  return static_cast<int>(std::unique(rails.begin(), rails.end()) - rails.begin());
}

}  // namespace

ChannelGraphs search_channels(const MemberGroups& groups, const ClusterSpec& cluster, const Fabric& fabric,
                              const CollectiveProfile& profile) {
  ChannelGraphs out;
  const NodeTraits& node = cluster.node;
  const bool many_nodes = groups.nodes.size() > 1;
  const int nics = many_nodes ? usable_nics(groups, fabric) : 0;
  const std::size_t local = groups.largest;
  out.orders.emplace_back(local);
  std::iota(out.orders.front().begin(), out.orders.front().end(), 0);
  double inside = 0.0;  // GB/s one member can send to the next inside the node
  int most = kMostGraphChannels;
  if (node.scale_up == ScaleUp::kTorus) {
    // Rings along the dimensions use every link of a device in both directions.
    const TorusBox box = torus_box(groups.nodes.front().members, fabric);
    inside = node.scale_up_link_payload.value / kGiga * (box.links() > 0 ? box.links() : 1);
    out.ring_hops = box.hops();
    out.nvlink = true;
  } else if (node.scale_up == ScaleUp::kSwitch) {
    const int links = switch_links(groups, cluster, fabric);
    inside = links * profile.link_rate;
    out.nvlink = links > 0;
  } else if (node.scale_up == ScaleUp::kMesh && local > 1) {
    std::vector<std::vector<int>> rings = mesh_rings(mesh_links(groups.nodes.front(), cluster, fabric));
    if (rings.empty()) {
      rings = mesh_rings(links_with_forwarding(groups.nodes.front(), fabric));
      rings.resize(std::min<std::size_t>(rings.size(), 2));  // the forwarding links are taken once each way
    }
    if (!rings.empty() && groups.smallest == groups.largest) {
      inside = static_cast<double>(rings.size()) * profile.link_rate;
      most = static_cast<int>(rings.size());
      out.nvlink = true;
      out.orders = std::move(rings);
    }
  }
  // Source: NCCL 2.30 src/graph/xml.cc, kvDictPciGen: 12 of the 15.75 GB/s of PCIe 3.0 x16, the same share later.
  const double slot = node.pcie_bandwidth.value / kGiga * (12.0 / 15.75);
  if (inside <= 0.0) {
    const double between = node.cpu_interconnect_bandwidth.value / kGiga;
    inside = between > 0.0 ? std::min(slot, between) : slot;
  }
  if (!many_nodes) {
    out.ring = fit_channels(inside, profile.intra_speeds, most);
  } else {
    // One channel per NIC at the best speed of the list, as the ring of channel c enters by NIC c. The NIC is read
    // through the member's own slot, so that a faster NIC than the slot changes nothing.
    const double nic = std::min(node.nic_bandwidth.value / kGiga, slot);
    // A channel leaves every member but the last over NVLink, so a member carries (g - 1) of g channels inside.
    const double share = static_cast<double>(local - 1) / static_cast<double>(local);
    const double each = local > 1 ? std::min(nic, inside / (nics * share)) : nic;
    out.ring = fit_channels(each, profile.inter_speeds, 1);
    out.ring.channels *= nics;
  }
  out.tree = out.ring;
  if (many_nodes && local > 1) {
    // Source: NCCL 2.30 src/graph/search.cc, second pass of ncclTopoCompute: for trees only the speed inside the node
    // is raised as long as the search still succeeds.
    for (const double speed : profile.inter_speeds) {
      if (out.tree.channels * speed * static_cast<double>(local - 1) <= inside * static_cast<double>(local)) {
        out.tree.intra = std::max(out.tree.intra, speed);
        break;
      }
    }
  }
  duplicate_fast_channels(out.ring, profile.compute_capability);
  if (!many_nodes) {
    out.tree = out.ring;
  }
  out.ring_executed = std::max(1, out.ring.channels * 2);
  if (many_nodes && profile.compute_capability >= 90 && out.ring.intra > 45.0 && out.ring_executed < 16) {
    out.ring_executed *= 2;
  }
  if (profile.nvls_channels[0] > 0 && node.scale_up == ScaleUp::kSwitch && out.nvlink && local > 1 &&
      groups.smallest == local) {
    // One head per member; a member feeds every head and serves its own once more. Agrees with NCCL's logs: 8 x 40 on
    // an 8-GPU Hopper node (9 x 40 <= 370.8) and 8 x 80 on a Blackwell one (9 x 80 <= 721.8).
    const int heads = static_cast<int>(std::min<std::size_t>(local, 32));
    for (const double speed : profile.intra_speeds) {
      if ((heads + 1) * speed <= switch_links(groups, cluster, fabric) * profile.link_rate) {
        out.nvls = {.channels = heads, .intra = speed, .inter = speed};
        break;
      }
    }
    if (many_nodes) {
      const double per_head = std::min(node.nic_bandwidth.value / kGiga, slot) * nics / heads;
      out.nvls.inter = fit_channels(per_head, profile.inter_speeds, 1).intra;
    }
  }
  return out;
}

}  // namespace trainyard
