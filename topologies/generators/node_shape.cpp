#include "topologies/generators/node_shape.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

constexpr int kMostInNode = 1024;

// Ordering of path kinds as NCCL ranks them (NVLink, NVLink by a peer, PCIe, host bridge, between sockets).
// Source: NCCL 2.30 src/graph/topo.h, path types.
double step_cost(LinkKind kind) {
  switch (kind) {
    case LinkKind::kNvLink:
      return 1.0;
    case LinkKind::kPcie:
      return 1.5;
    case LinkKind::kChipToChip:
      return 2.5;  // before the two PCIe links to a socket, after the two NVLinks to a peer
    case LinkKind::kCpuInterconnect:
      return 4.0;
    case LinkKind::kNetwork:
      return 8.0;
  }
  return 8.0;
}

double transit_cost(VertexKind kind) {
  return kind == VertexKind::kGpu || kind == VertexKind::kCpu ? 0.75 : 0.0;
}

struct Search {
  std::vector<double> cost;
  std::vector<std::int32_t> last_link;
};

// Dijkstra on the few vertices of a node; ties go to the lower link number. `gpus_forward` allows paths through GPUs.
Search search_from(const NodeShape& shape, int source, bool gpus_forward) {
  const double infinite = std::numeric_limits<double>::infinity();
  Search search{std::vector<double>(shape.vertices.size(), infinite),
                std::vector<std::int32_t>(shape.vertices.size(), -1)};
  std::vector<std::vector<std::int32_t>> outgoing(shape.vertices.size());
  for (std::size_t l = 0; l < shape.links.size(); ++l) {
    outgoing[shape.links[l].from.index()].push_back(static_cast<std::int32_t>(l));
  }
  std::vector<char> done(shape.vertices.size());
  search.cost[static_cast<std::size_t>(source)] = 0.0;
  while (true) {
    std::size_t at = shape.vertices.size();
    for (std::size_t v = 0; v < shape.vertices.size(); ++v) {
      if (done[v] == 0 && search.cost[v] < infinite &&
          (at == shape.vertices.size() || search.cost[v] < search.cost[at])) {
        at = v;
      }
    }
    if (at == shape.vertices.size()) {
      return search;
    }
    done[at] = 1;
    const VertexKind kind = shape.vertices[at].kind;
    const bool is_source = at == static_cast<std::size_t>(source);
    if (!is_source && (kind == VertexKind::kNic || (kind == VertexKind::kGpu && !gpus_forward))) {
      continue;
    }
    for (const std::int32_t l : outgoing[at]) {
      const Link& link = shape.links[static_cast<std::size_t>(l)];
      const bool through_gpu = !is_source && kind == VertexKind::kGpu;
      if (through_gpu && link.kind != LinkKind::kNvLink) {
        continue;
      }
      const double cost = search.cost[at] + step_cost(link.kind) + (is_source ? 0.0 : transit_cost(kind));
      if (cost < search.cost[link.to.index()]) {
        search.cost[link.to.index()] = cost;
        search.last_link[link.to.index()] = l;
      }
    }
  }
}

std::vector<std::int32_t> path_to(const NodeShape& shape, const Search& search, int source, int goal) {
  std::vector<std::int32_t> path;
  if (goal != source && search.last_link[static_cast<std::size_t>(goal)] < 0) {
    return path;  // a NIC of another host of the same node: no device uses it
  }
  for (int at = goal; at != source;) {
    const std::int32_t link = search.last_link[static_cast<std::size_t>(at)];
    TY_ASSERT(link >= 0);
    path.push_back(link);
    at = shape.links[static_cast<std::size_t>(link)].from.value;
  }
  std::reverse(path.begin(), path.end());
  return path;
}

// The NIC with the shortest path; among equals, the ones of a switch are dealt out to its GPUs in turn.
std::int32_t default_nic(const NodeShape& shape, const Search& search, std::size_t device) {
  std::vector<std::size_t> nearest;
  for (std::size_t n = 0; n < shape.nics.size(); ++n) {
    const double cost = search.cost[static_cast<std::size_t>(shape.nics[n])];
    const double best = nearest.empty() ? cost : search.cost[static_cast<std::size_t>(shape.nics[nearest.front()])];
    if (cost < best) {
      nearest.clear();
    }
    if (cost <= best) {
      nearest.push_back(n);
    }
  }
  if (nearest.empty()) {
    return -1;
  }
  const std::size_t spread = device * shape.nics.size() / shape.devices.size();
  const auto own = std::find(nearest.begin(), nearest.end(), spread);
  return static_cast<std::int32_t>(own != nearest.end() ? *own : nearest[device % nearest.size()]);
}

}  // namespace

int NodeShape::add_vertex(VertexKind kind, int multiplicity) {
  const auto same = std::count_if(vertices.begin(), vertices.end(), [&](const Vertex& v) { return v.kind == kind; });
  const int id = static_cast<int>(vertices.size());
  vertices.push_back({.kind = kind, .index = static_cast<int>(same), .multiplicity = multiplicity});
  if (kind == VertexKind::kGpu) {
    devices.push_back(id);
  } else if (kind == VertexKind::kNic) {
    nics.push_back(id);
    nic_rates.emplace_back();
  }
  return id;
}

void NodeShape::add_link(int a, int b, LinkKind kind, BytesPerSecond bandwidth, Seconds latency) {
  links.push_back({{a}, {b}, kind, bandwidth, latency});
  links.push_back({{b}, {a}, kind, bandwidth, latency});
}

LinkReading read_link(const JsonReader& json) {
  LinkReading out;
  out.links = json.has("links") ? static_cast<int>(json.at("links").integer(1, 1024)) : 1;
  out.nominal = json.at("bandwidth").bytes_per_second() * out.links;
  out.payload = out.nominal * (json.has("efficiency") ? json.at("efficiency").number(0.01, 1.0) : 1.0);
  out.latency = json.at("latency").seconds();
  if (out.nominal.value <= 0.0) {
    json.at("bandwidth").fail("a link needs bandwidth", "more than 0 GB/s");
  }
  return out;
}

bool reaches_all_devices(const NodeShape& shape) {
  const Search to_devices = search_from(shape, shape.devices.front(), true);
  const auto reached = [&](const Search& search, int v) {
    return search.last_link[static_cast<std::size_t>(v)] >= 0 || v == shape.devices.front();
  };
  for (const int device : shape.devices) {
    if (!reached(to_devices, device)) {
      return false;
    }
    const Search to_nics = search_from(shape, device, false);
    const bool some_nic = std::any_of(shape.nics.begin(), shape.nics.end(),
                                      [&](int nic) { return to_nics.last_link[static_cast<std::size_t>(nic)] >= 0; });
    if (!some_nic && !shape.nics.empty()) {
      return false;
    }
  }
  return true;
}

namespace {

// The socket with the shortest path; nothing in a node without sockets. Links come in pairs, one for each direction, so
// the way back is the pairs' other halves.
std::vector<std::int32_t> path_to_host(const NodeShape& shape, int device) {
  const Search search = search_from(shape, device, false);
  std::optional<std::size_t> nearest;
  for (std::size_t v = 0; v < shape.vertices.size(); ++v) {
    const bool reached = shape.vertices[v].kind == VertexKind::kCpu && search.last_link[v] >= 0;
    if (reached && (!nearest || search.cost[v] < search.cost[*nearest])) {
      nearest = v;
    }
  }
  return nearest ? path_to(shape, search, device, static_cast<int>(*nearest)) : std::vector<std::int32_t>{};
}

}  // namespace

void describe_host(NodeShape& shape, const JsonReader& node) {
  const std::vector<std::int32_t> path = path_to_host(shape, shape.devices.front());
  for (const std::int32_t link : path) {
    const BytesPerSecond bandwidth = shape.links[static_cast<std::size_t>(link)].bandwidth;
    BytesPerSecond& slowest = shape.traits.host_link;
    slowest = slowest.value > 0.0 ? min(slowest, bandwidth) : bandwidth;
  }
  if (const auto host = node.find("host")) {
    host->expect_keys({"memory", "bandwidth", "cores", "source"});
    shape.traits.host_memory = host->at("memory").bytes();
    if (shape.traits.host_memory < Bytes{1.0}) {
      host->at("memory").fail("a host without memory", "more than 0", "");
    }
    shape.traits.host_bandwidth = host->at("bandwidth").bytes_per_second();
    if (const auto cores = host->find("cores")) {
      constexpr std::int64_t kMostCores = 1'000'000;  // of a rack that is one node
      shape.traits.host_cores = static_cast<int>(cores->integer(1, kMostCores));
    }
  }
}

namespace {

// Whether one plane of switches joins all GPUs, each as wide as any other.
bool joined_evenly(const NodeShape& shape) {
  std::vector<BytesPerSecond> width(shape.vertices.size());
  std::vector<int> planes;
  for (const Link& link : shape.links) {
    if (shape.vertices[link.from.index()].kind == VertexKind::kGpu &&
        shape.vertices[link.to.index()].kind == VertexKind::kNvSwitch) {
      width[link.from.index()] += link.bandwidth;
      planes.push_back(link.to.value);
    }
  }
  const BytesPerSecond first = width[static_cast<std::size_t>(shape.devices.front())];
  return std::all_of(planes.begin(), planes.end(), [&](int plane) { return plane == planes.front(); }) &&
         std::all_of(shape.devices.begin(), shape.devices.end(),
                     [&](int d) { return width[static_cast<std::size_t>(d)].value == first.value; });
}

}  // namespace

NodePaths node_paths(const NodeShape& shape) {
  NodePaths paths;
  paths.devices = static_cast<int>(shape.devices.size());
  paths.nics = static_cast<int>(shape.nics.size());
  paths.peers_joined = shape.traits.scale_up == ScaleUp::kSwitch && joined_evenly(shape);
  for (std::size_t d = 0; d < shape.devices.size(); ++d) {
    const int source = shape.devices[d];
    const Search among_devices = search_from(shape, source, true);
    for (const int goal : shape.devices) {
      paths.device_to_device.add(path_to(shape, among_devices, source, goal));
    }
    const Search to_nics = search_from(shape, source, false);
    paths.nic_of_device.push_back(default_nic(shape, to_nics, d));
    for (const int goal : shape.nics) {
      paths.device_to_nic.add(path_to(shape, to_nics, source, goal));
    }
  }
  for (const int device : shape.devices) {
    std::vector<std::int32_t> path = path_to_host(shape, device);
    paths.device_to_host.add(path);
    std::reverse(path.begin(), path.end());
    for (std::int32_t& link : path) {
      link ^= 1;
    }
    paths.host_to_device.add(path);
  }
  for (const int source : shape.nics) {
    const Search from_nic = search_from(shape, source, false);
    for (const int goal : shape.devices) {
      paths.nic_to_device.add(path_to(shape, from_nic, source, goal));
    }
  }
  return paths;
}

void add_host(NodeShape& shape, const JsonReader& node) {
  const JsonReader pcie = node.at("pcie");
  pcie.expect_keys({"bandwidth", "efficiency", "latency", "gpus_per_switch", "source"});
  const LinkReading slot = read_link(pcie);
  const auto gpus = shape.devices.size();
  const auto per_switch = static_cast<std::size_t>(pcie.at("gpus_per_switch").integer(1, kMostInNode));
  const std::size_t switches = (gpus + per_switch - 1) / per_switch;
  const JsonReader cpus = node.at("cpus");
  cpus.expect_keys({"sockets", "bandwidth", "efficiency", "latency", "source"});
  const auto sockets = static_cast<std::size_t>(cpus.at("sockets").integer(1, 64));
  std::vector<int> cpu(sockets);
  for (int& id : cpu) {
    id = shape.add_vertex(VertexKind::kCpu);
  }
  if (sockets > 1) {
    const LinkReading between = read_link(cpus);
    shape.traits.cpu_interconnect_bandwidth = between.nominal;
    for (std::size_t a = 0; a < sockets; ++a) {
      for (std::size_t b = a + 1; b < sockets; ++b) {
        shape.add_link(cpu[a], cpu[b], LinkKind::kCpuInterconnect, between.payload, between.latency);
      }
    }
  }
  std::vector<int> pcie_switch(switches);
  for (std::size_t s = 0; s < switches; ++s) {
    pcie_switch[s] = shape.add_vertex(VertexKind::kPcieSwitch);
    shape.add_link(pcie_switch[s], cpu[s * sockets / switches], LinkKind::kPcie, slot.payload, slot.latency);
  }
  for (std::size_t g = 0; g < gpus; ++g) {
    shape.add_link(shape.devices[g], pcie_switch[g / per_switch], LinkKind::kPcie, slot.payload, slot.latency);
  }
  shape.traits.pcie_bandwidth = slot.nominal;
  if (const auto chip_to_chip = node.find("chip_to_chip")) {
    chip_to_chip->expect_keys({"bandwidth", "efficiency", "latency", "source"});
    const LinkReading link = read_link(*chip_to_chip);
    for (std::size_t g = 0; g < gpus; ++g) {
      shape.add_link(shape.devices[g], cpu[g * sockets / gpus], LinkKind::kChipToChip, link.payload, link.latency);
    }
  }
  if (const auto nics = node.find("nics")) {
    nics->expect_keys({"count", "links", "bandwidth", "efficiency", "latency", "source"});
    const LinkReading port = read_link(*nics);
    const auto count = static_cast<std::size_t>(nics->at("count").integer(1, kMostInNode));
    shape.traits.nics = static_cast<int>(count);
    shape.traits.nic_bandwidth = port.nominal;
    for (std::size_t n = 0; n < count; ++n) {
      const int nic = shape.add_vertex(VertexKind::kNic, port.links);
      // The NIC's slot is at least as fast as its port: otherwise the vendor would sell it in another slot.
      shape.add_link(nic, pcie_switch[n * switches / count], LinkKind::kPcie, max(slot.payload, port.payload),
                     slot.latency);
    }
  }
}

NodeShape make_node(const JsonReader& node) {
  const JsonReader key = node.at("generator");
  const std::string wanted = key.text();
  std::vector<std::string> names;
  for (const NodeGenerator& generator : kNodeGenerators) {
    if (generator.name == wanted) {
      NodeShape shape = generator.make(node);
      describe_host(shape, node);
      return shape;
    }
    names.emplace_back(generator.name);
  }
  key.fail("unknown node generator", join_names(names), nearest_name(wanted, names).value_or(""));
}

}  // namespace trainyard
