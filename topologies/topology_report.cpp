#include "topologies/topology_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/graph/adjacency_list.hpp>
#include <boost/graph/boykov_kolmogorov_max_flow.hpp>
#include <cmath>
#include <map>

#include "sim/base/effort.hpp"
#include "sim/base/error.hpp"
#include "sim/base/quantity_text.hpp"

namespace trainyard {
namespace {

constexpr std::size_t kAllPairs = 256;
constexpr std::size_t kMostRoutes = std::size_t{1} << 22U;
constexpr double kUnlimited = 1e18;  // bytes per second: no bundle of links comes near

using Traits = boost::adjacency_list_traits<boost::vecS, boost::vecS, boost::directedS>;

struct FlowEdge {
  double capacity = 0.0;
  double residual = 0.0;
  Traits::edge_descriptor reverse;
  std::int32_t link = -1;
};

using FlowGraph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, FlowEdge>;

void add_edge_pair(FlowGraph& graph, std::size_t a, std::size_t b, double capacity, std::int32_t link) {
  const auto forward = boost::add_edge(a, b, {capacity, 0.0, {}, link}, graph).first;
  const auto backward = boost::add_edge(b, a, {0.0, 0.0, {}, -1}, graph).first;
  graph[forward].reverse = backward;
  graph[backward].reverse = forward;
}

double run_max_flow(FlowGraph& graph, std::size_t source, std::size_t sink,
                    std::vector<boost::default_color_type>& colour) {
  std::vector<Traits::edge_descriptor> predecessor(boost::num_vertices(graph));
  std::vector<long> distance(boost::num_vertices(graph));
  const auto index = boost::get(boost::vertex_index, graph);
  return boost::boykov_kolmogorov_max_flow(
      graph, boost::get(&FlowEdge::capacity, graph), boost::get(&FlowEdge::residual, graph),
      boost::get(&FlowEdge::reverse, graph), boost::make_iterator_property_map(predecessor.begin(), index),
      boost::make_iterator_property_map(colour.begin(), index),
      boost::make_iterator_property_map(distance.begin(), index), index, source, sink);
}

std::vector<DeviceId> devices_between(std::size_t first, std::size_t last) {
  std::vector<DeviceId> out;
  for (std::size_t d = first; d < last; ++d) {
    out.push_back(DeviceId::from(d));
  }
  return out;
}

std::map<VertexKind, std::size_t> count_kinds(const Fabric& fabric) {
  std::map<VertexKind, std::size_t> counts;
  for (const Vertex& vertex : fabric.vertices()) {
    counts[vertex.kind] += static_cast<std::size_t>(vertex.multiplicity);
  }
  return counts;
}

// What the NICs of half of the devices could send over what the network lets through in the middle.
std::optional<double> oversubscription(const Fabric& fabric, BytesPerSecond cut) {
  BytesPerSecond nics{};
  for (const Link& link : fabric.links()) {
    if (link.kind == LinkKind::kNetwork && fabric.vertex(link.from).kind == VertexKind::kNic) {
      nics += link.bandwidth;
    }
  }
  if (nics.value <= 0.0 || cut.value <= 0.0) {
    return std::nullopt;
  }
  return std::max(1.0, (nics / 2.0) / cut);
}

}  // namespace

Cut minimum_cut(const Fabric& fabric, std::span<const DeviceId> from, std::span<const DeviceId> to) {
  const std::size_t vertices = fabric.vertices().size();
  FlowGraph graph(vertices + 2);
  for (std::size_t l = 0; l < fabric.links().size(); ++l) {
    const Link& link = fabric.links()[l];
    add_edge_pair(graph, link.from.index(), link.to.index(), link.bandwidth.value, static_cast<std::int32_t>(l));
  }
  for (const DeviceId device : from) {
    add_edge_pair(graph, vertices, fabric.vertex_of(device).index(), kUnlimited, -1);
  }
  for (const DeviceId device : to) {
    add_edge_pair(graph, fabric.vertex_of(device).index(), vertices + 1, kUnlimited, -1);
  }
  std::vector<boost::default_color_type> colour(vertices + 2);
  Cut cut{.capacity = {run_max_flow(graph, vertices, vertices + 1, colour)}};
  const auto [begin, end] = boost::edges(graph);
  for (auto edge = begin; edge != end; ++edge) {
    const FlowEdge& properties = graph[*edge];
    const bool leaves_source_side = colour[boost::source(*edge, graph)] == boost::black_color &&
                                    colour[boost::target(*edge, graph)] != boost::black_color;
    if (properties.link >= 0 && leaves_source_side) {
      cut.links.push_back({properties.link});
    }
  }
  return cut;
}

Cut bisection(const Fabric& fabric) {
  const std::size_t n = fabric.devices();
  TY_ASSERT(n >= 2);
  return minimum_cut(fabric, devices_between(0, n / 2), devices_between(n / 2, n));
}

std::size_t diameter(const Fabric& fabric) {
  std::vector<DeviceId> sources;
  int last_node = -2;
  for (std::size_t d = 0; d < fabric.devices(); ++d) {
    const int node = fabric.node_of(DeviceId::from(d));
    if (fabric.devices() <= kAllPairs || node != last_node) {
      sources.push_back(DeviceId::from(d));
    }
    last_node = node;
  }
  // Of a large fabric some nodes, spread evenly, stand for all.
  const std::size_t most = std::clamp<std::size_t>(kMostRoutes / fabric.devices(), 1, kAllPairs);
  if (sources.size() > most) {
    for (std::size_t i = 0; i < most; ++i) {
      sources[i] = sources[i * sources.size() / most];
    }
    sources.resize(most);
  }
  std::size_t longest = 0;
  for (const DeviceId from : sources) {
    for (std::size_t d = 0; d < fabric.devices(); ++d) {
      longest = std::max(longest, fabric.route(from, DeviceId::from(d)).size());
    }
  }
  return longest;
}

PathReport describe_path(const Fabric& fabric, DeviceId from, DeviceId to) {
  PathReport out;
  out.vertices.push_back(vertex_name(fabric.vertex(fabric.vertex_of(from))));
  for (const LinkId id : fabric.route(from, to)) {
    const Link& link = fabric.link(id);
    out.vertices.push_back(vertex_name(fabric.vertex(link.to)));
    out.narrowest = out.vertices.size() == 2 ? link.bandwidth : min(out.narrowest, link.bandwidth);
    out.latency += link.latency;
  }
  return out;
}

void require_report_effort(int gpus) {
  // Vertices and links of a GPU, and the graph of the maximum flow. Seen: 1.2 s and 2.7 KB a GPU at 131,072 of
  // dgx-h100.
  constexpr double kEvents = 250.0;
  constexpr double kBytes = 3000.0;
  require_effort({.events = kEvents * gpus, .bytes = kBytes * gpus},
                 {.file = "--gpus", .remedy = "ask for fewer GPUs: the fabric repeats itself"});
}

TopologyReport report_topology(const ClusterSpec& cluster, const Fabric& fabric,
                               std::optional<std::pair<DeviceId, DeviceId>> path) {
  TopologyReport out;
  const auto& spec = cluster.document;
  out.text =
      fmt::format("{}: {}\n", cluster.name, spec.contains("description") ? spec["description"].get<std::string>() : "");
  Json gpus = Json::object();
  int number = 0;
  for (const NodeInUse& node : nodes_in_use(cluster, static_cast<int>(fabric.devices()))) {
    Json& count = gpus[cluster.kind_of_node(number++).gpu];
    count = (count.is_null() ? 0 : count.get<int>()) + node.gpus;
  }
  Json counts;
  for (const auto& [kind, count] : count_kinds(fabric)) {
    counts[std::string(kVertexKindNames.name_of(kind))] = count;
    out.text += fmt::format("  {:<20} {}\n", kVertexKindNames.name_of(kind), count);
  }
  out.json = {
      {"cluster", cluster.name}, {"gpus", fabric.devices()}, {"vertices", counts}, {"links", fabric.links().size()}};
  if (gpus.size() > 1) {
    for (const auto& [name, count] : gpus.items()) {
      out.text += fmt::format("  {:<20} {}\n", name, count.get<int>());
    }
    out.json["gpu_kinds"] = gpus;
  }
  if (spec.contains("notes")) {
    out.json["notes"] = spec["notes"];
  }
  if (fabric.devices() >= 2) {
    const Cut cut = bisection(fabric);
    const double half = std::floor(static_cast<double>(fabric.devices()) / 2.0);
    std::map<std::string, std::size_t> through;
    for (const LinkId id : cut.links) {
      const Link& link = fabric.link(id);
      ++through[fmt::format("{} to {}", kVertexKindNames.name_of(fabric.vertex(link.from).kind),
                            kVertexKindNames.name_of(fabric.vertex(link.to).kind))];
    }
    out.text += fmt::format("  {:<20} {} ({} for each GPU of a half)\n", "bisection", to_text(cut.capacity),
                            to_text(cut.capacity / half));
    Json cut_json = Json::array();
    for (const auto& [name, count] : through) {
      out.text += fmt::format("  {:<20} {} links {}\n", "bottleneck", count, name);
      cut_json.push_back({{"between", name}, {"links", count}});
    }
    out.json["bisection_bytes_per_s"] = cut.capacity.value;
    out.json["bottleneck"] = cut_json;
    if (const auto ratio = oversubscription(fabric, cut.capacity)) {
      out.text += fmt::format("  {:<20} {:.2f} : 1\n", "oversubscription", *ratio);
      out.json["oversubscription"] = *ratio;
    }
    const std::size_t longest = diameter(fabric);
    out.text += fmt::format("  {:<20} {} links\n", "diameter", longest);
    out.json["diameter_links"] = longest;
  }
  if (path) {
    const PathReport report = describe_path(fabric, path->first, path->second);
    out.text += fmt::format("  path from GPU {} to GPU {}: {}, {}\n", path->first.value, path->second.value,
                            to_text(report.narrowest), to_text(report.latency));
    for (const std::string& name : report.vertices) {
      out.text += fmt::format("    {}\n", name);
    }
    out.json["path"] = {{"vertices", report.vertices},
                        {"narrowest_bytes_per_s", report.narrowest.value},
                        {"latency_s", report.latency.value}};
  }
  return out;
}

}  // namespace trainyard
