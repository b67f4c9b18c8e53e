#include "topologies/cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "sim/base/text_start.hpp"
#include "topologies/generators/custom_fabric.hpp"
#include "topologies/generators/network.hpp"
#include "topologies/generators/node_shape.hpp"
#include "topologies/generators/torus.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kFolder = "topologies/clusters";

NodeRouting::Node place_node(const NodeShape& shape, int node, std::vector<Vertex>& vertices,
                             std::vector<Link>& links) {
  const auto first_vertex = static_cast<std::int32_t>(vertices.size());
  NodeRouting::Node placed;
  placed.first_link = static_cast<std::int32_t>(links.size());
  for (Vertex vertex : shape.vertices) {
    vertex.node = node;
    vertices.push_back(vertex);
  }
  for (Link link : shape.links) {
    link.from.value += first_vertex;
    link.to.value += first_vertex;
    links.push_back(link);
  }
  return placed;
}

// A kind of node and how many of it stand before the next kind's; the last kind has no end.
struct NodeKind {
  NodeShape shape;
  LinkReading port;
  int slots = 0;
  int nodes = 0;
};

// Slots of a node that the job uses: "job_gpus_per_node" lists the choices for jobs of several nodes, best first (an
// NVL72 rack usually runs 64 of its 72 GPUs, so that powers of two fit).
int slots_in_use(const Json& document, const NodeShape& shape, int gpus) {
  const int slots = static_cast<int>(shape.devices.size());
  if (gpus > slots && document.contains("job_gpus_per_node")) {
    for (const Json& choice : document["job_gpus_per_node"]) {
      const int use = choice.get<int>();
      if (gpus % use == 0) {
        return use;
      }
    }
  }
  return slots;
}

NodeKind read_kind(const JsonReader& node, const Json& document, int gpus) {
  NodeKind kind{.shape = make_node(node)};
  kind.slots = slots_in_use(document, kind.shape, gpus);
  if (const auto nics = node.find("nics")) {
    kind.port = read_link(*nics);
  }
  return kind;
}

// "node" for clusters of one kind, "node_groups": [{"nodes", "node"}, ...] for mixed ones.
std::vector<NodeKind> read_kinds(const JsonReader& json, int gpus) {
  std::vector<NodeKind> kinds;
  if (const auto groups = json.find("node_groups")) {
    for (const JsonReader& group : groups->elements()) {
      group.expect_keys(
          {"nodes", "node", "gpu", "cpu_vendor", "collective_profile", "collective_calibration", "source"});
      kinds.push_back(read_kind(group.at("node"), json.value(), gpus));
      kinds.back().nodes = static_cast<int>(group.at("nodes").integer(1, kMostInCluster));
    }
    if (kinds.empty()) {
      groups->fail("a cluster needs nodes", "at least one group");
    }
  } else {
    kinds.push_back(read_kind(json.at("node"), json.value(), gpus));
  }
  return kinds;
}

// "other" for processors of which NCCL's tuner knows nothing particular.
enum class CpuVendor { kIntel, kAmd, kArm, kOther };
constexpr NameTable<CpuVendor, 4> kCpuVendors{
    {{{"intel", CpuVendor::kIntel}, {"amd", CpuVendor::kAmd}, {"arm", CpuVendor::kArm}, {"other", CpuVendor::kOther}}}};

// What of a cluster a group of nodes may say for itself.
void read_traits(const JsonReader& json, ClusterSpec& cluster) {
  for (const auto& [key, value] : {std::pair{"gpu", &cluster.gpu}, std::pair{"cpu_vendor", &cluster.cpu_vendor},
                                   std::pair{"collective_profile", &cluster.collective_profile},
                                   std::pair{"collective_calibration", &cluster.collective_calibration}}) {
    if (const auto found = json.find(key)) {
      *value = found->text();
    }
  }
  if (const auto vendor = json.find("cpu_vendor")) {
    vendor->choice(kCpuVendors);
  }
}

// A calibration belongs to a profile: a group with a profile of its own has the other's measurements only when it says
// so.
std::vector<ClusterSpec> cluster_kinds(const JsonReader& groups, const std::vector<NodeKind>& kinds,
                                       const ClusterSpec& cluster) {
  std::vector<ClusterSpec> out;
  for (const JsonReader& group : groups.elements()) {
    const NodeKind& kind = kinds[out.size()];
    ClusterSpec& one = out.emplace_back(cluster);
    one.document = Json();
    if (group.has("collective_profile")) {
      one.collective_calibration.clear();
    }
    read_traits(group, one);
    one.node = kind.shape.traits;
    one.gpus_per_node = kind.slots;
    one.nodes_of_kind = kind.nodes;
  }
  return out;
}

[[noreturn]] void fail_without_network(const ClusterSpec& cluster, int gpus, int slots) {
  throw UserError({.file = cluster.file,
                   .pointer = cluster.pointer + "/network",
                   .found = fmt::format("{} GPUs, {} a node", gpus, slots),
                   .allowed = fmt::format("up to {} GPUs", slots),
                   .problem = "the cluster has no network between nodes",
                   .remedy = "add NICs and a network, or ask for one node"});
}

// The nodes that so many devices fill, kind after kind.
std::vector<NodeInUse> fill_nodes(const std::vector<NodeKind>& kinds, int gpus) {
  std::vector<NodeInUse> nodes;
  std::size_t at = 0;
  int left_of_kind = kinds.front().nodes;
  for (int left = gpus; left > 0; left -= kinds[at].slots) {
    if (at + 1 < kinds.size() && left_of_kind == 0) {
      left_of_kind = kinds[++at].nodes;
    }
    --left_of_kind;
    nodes.push_back({.kind = static_cast<int>(at), .gpus = std::min(left, kinds[at].slots)});
  }
  return nodes;
}

void check_size(const ClusterSpec& cluster, int gpus) {
  const JsonReader json = cluster.reader();
  const int most =
      json.has("largest") ? static_cast<int>(json.at("largest").integer(1, kMostInCluster)) : kMostInCluster;
  if (gpus < 1 || gpus > most) {
    throw UserError({.file = cluster.file,
                     .pointer = json.has("largest") ? cluster.pointer + "/largest" : cluster.pointer,
                     .found = fmt::format("{} GPUs", gpus),
                     .allowed = fmt::format("1 to {} GPUs", most),
                     .problem = "the cluster cannot have that many GPUs",
                     .remedy = "ask for fewer GPUs or describe a larger cluster"});
  }
}

// One NIC may have a rate of its own; the share that payload can use is the node's.
BytesPerSecond port_payload(const NodeKind& kind, std::size_t nic) {
  const BytesPerSecond own = kind.shape.nic_rates[nic];
  return own.value > 0.0 ? own * (kind.port.payload / kind.port.nominal) : kind.port.payload;
}

}  // namespace

ClusterSpec load_cluster(std::string_view name_or_path, std::string_view file, std::string_view pointer) {
  const bool is_path = names_file(name_or_path);
  const std::filesystem::path path =
      is_path ? std::filesystem::path(name_or_path)
              : catalogue_path(kFolder, "cluster", name_or_path, std::string(file), std::string(pointer));
  const std::string text = read_file(path);
  const char first = first_character(text);
  if (is_path && first != '\0' && first != '{') {
    throw UserError({.file = path.string(),
                     .found = "no JSON object",
                     .allowed = "a cluster file",
                     .problem = "this file describes no cluster",
                     .remedy = "of a topology make one with `topology --import FILE --like CLUSTER --out my.json`"});
  }
  const Json document = parse_json(text, path.string());
  return read_cluster(JsonReader(document, path.string()), path.stem().string());
}

ClusterSpec read_cluster(const JsonReader& json, std::string_view name) {
  json.expect_keys({"description", "source", "gpu", "cpu_vendor", "collective_profile", "collective_calibration",
                    "network_protocols", "network_reduction", "node", "node_groups", "torus", "fabric", "network",
                    "job_gpus_per_node", "gpus_per_host", "largest", "notes"});
  ClusterSpec cluster;
  cluster.name = name;
  cluster.document = json.value();
  cluster.file = json.file();
  cluster.pointer = json.pointer();
  for (const char* key : {"gpu", "cpu_vendor", "collective_profile"}) {
    json.at(key);  // required
  }
  read_traits(json, cluster);
  if (const auto reduces = json.find("network_reduction")) {
    cluster.network_reduction = reduces->boolean();
  }
  if (const auto notes = json.find("notes")) {
    for (const JsonReader& note : notes->elements()) {
      note.text();
    }
  }
  if (const auto protocols = json.find("network_protocols")) {
    for (const JsonReader& protocol : protocols->elements()) {
      cluster.network_protocols.push_back(protocol.text());
    }
  }
  if (const auto torus = json.find("torus")) {
    cluster.node = torus_traits(*torus);
    cluster.gpus_per_node = static_cast<int>(json.at("largest").integer(1, kMostInCluster));
    return cluster;
  }
  if (const auto fabric = json.find("fabric")) {
    cluster.node = custom_traits(*fabric);
    const std::vector<int> nodes = custom_gpus_of_nodes(*fabric);
    cluster.gpus_per_node = nodes.empty() ? 1 : *std::max_element(nodes.begin(), nodes.end());
    return cluster;
  }
  const std::vector<NodeKind> kinds = read_kinds(json, 1);
  cluster.node = kinds.front().shape.traits;
  cluster.gpus_per_node = kinds.front().slots;
  if (const auto groups = json.find("node_groups")) {
    cluster.kinds = cluster_kinds(*groups, kinds, cluster);
    cluster.gpu = cluster.kinds.front().gpu;
  }
  // Where a node is an NVLink domain of several hosts: what benchmarks count as a node (collective_places.hpp).
  if (const auto host = json.find("gpus_per_host")) {
    host->integer(1, cluster.gpus_per_node);
  }
  if (const auto choices = json.find("job_gpus_per_node")) {
    for (const JsonReader& choice : choices->elements()) {
      choice.integer(1, cluster.gpus_per_node);
    }
  }
  return cluster;
}

std::vector<std::string> cluster_names() {
  return catalogue_names(kFolder);
}

std::vector<NodeInUse> nodes_in_use(const ClusterSpec& cluster, int gpus) {
  check_size(cluster, gpus);
  const JsonReader json = cluster.reader();
  if (json.has("torus")) {
    return {{.gpus = gpus}};
  }
  if (const auto fabric = json.find("fabric")) {
    std::vector<NodeInUse> nodes;
    for (const int on_node : custom_gpus_of_nodes(*fabric)) {
      nodes.push_back({.gpus = std::min(on_node, gpus)});
      gpus -= nodes.back().gpus;
    }
    std::erase_if(nodes, [](const NodeInUse& node) { return node.gpus == 0; });
    return nodes;
  }
  return fill_nodes(read_kinds(json, gpus), gpus);
}

Fabric build_fabric(const ClusterSpec& cluster, int gpus) {
  check_size(cluster, gpus);
  const JsonReader json = cluster.reader();
  if (const auto torus = json.find("torus")) {
    return build_torus(*torus, cluster.name, gpus);
  }
  if (const auto fabric = json.find("fabric")) {
    return build_custom(*fabric, cluster.name, gpus);
  }
  std::vector<NodeKind> kinds = read_kinds(json, gpus);
  NodeRouting routing;
  std::vector<Vertex> vertices;
  std::vector<Link> links;
  NetworkSite site{.vertices = &vertices, .links = &links};
  const auto expected = static_cast<std::size_t>(gpus / kinds.front().slots + 1);
  vertices.reserve(kinds.front().shape.vertices.size() * expected);
  links.reserve((kinds.front().shape.links.size() + 2 * kinds.front().shape.nics.size()) * expected);
  for (NodeKind& kind : kinds) {
    routing.shapes.push_back(node_paths(kind.shape));
    // Slots beyond those in use hold no GPU of the job: they are left out so that device numbers have no gaps.
    for (std::size_t d = static_cast<std::size_t>(kind.slots); d < kind.shape.devices.size(); ++d) {
      kind.shape.vertices[static_cast<std::size_t>(kind.shape.devices[d])].kind = VertexKind::kCpu;
    }
  }
  int placed_gpus = 0;
  for (const NodeInUse& node : fill_nodes(kinds, gpus)) {
    const NodeKind& kind = kinds[static_cast<std::size_t>(node.kind)];
    if (placed_gpus + kind.slots < gpus && (kind.shape.nics.empty() || !json.has("network"))) {
      fail_without_network(cluster, gpus, kind.slots);
    }
    const auto first_vertex = static_cast<std::int32_t>(vertices.size());
    NodeRouting::Node placed = place_node(kind.shape, site.nodes, vertices, links);
    placed.paths = node.kind;
    placed.first_device = placed_gpus;
    placed.first_nic = static_cast<std::int32_t>(site.ports.size());
    routing.nodes.push_back(placed);
    for (std::size_t n = 0; n < kind.shape.nics.size(); ++n) {
      site.ports.push_back({{first_vertex + kind.shape.nics[n]},
                            site.nodes,
                            static_cast<int>(n),
                            port_payload(kind, n),
                            kind.port.latency});
    }
    site.rails = std::max(site.rails, static_cast<int>(kind.shape.nics.size()));
    placed_gpus += node.gpus;
    routing.node_of_device.resize(static_cast<std::size_t>(placed_gpus), site.nodes);
    ++site.nodes;
  }
  if (site.nodes > 1) {
    routing.network = make_network(json.at("network"), site);
  }
  return Fabric(cluster.name, std::move(vertices), std::move(links), std::move(routing), static_cast<std::size_t>(gpus),
                cluster.file);
}

}  // namespace trainyard
