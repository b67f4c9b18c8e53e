#include "topologies/topology_drawing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "sim/base/xml_text.hpp"

namespace trainyard {
namespace {

constexpr double kStep = 26.0;
constexpr double kRow = 90.0;
constexpr double kMargin = 60.0;
constexpr double kRadius = 8.0;

struct Style {
  std::string_view fill;
  int row;  // from the top
};

Style style_of(VertexKind kind) {
  switch (kind) {
    case VertexKind::kCore:
      return {"#7b3294", 0};
    case VertexKind::kSpine:
      return {"#9970ab", 1};
    case VertexKind::kLeaf:
      return {"#c2a5cf", 2};
    case VertexKind::kNic:
      return {"#e08214", 3};
    case VertexKind::kPcieSwitch:
      return {"#fdb863", 4};
    case VertexKind::kCpu:
      return {"#bbbbbb", 5};
    case VertexKind::kGpu:
      return {"#1b7837", 6};
    case VertexKind::kNvSwitch:
      return {"#5aae61", 7};
  }
  return {"#000000", 0};
}

struct DrawnPlace {
  double x = 0.0;
  double y = 0.0;
  bool drawn = false;
};

// Each row is spread over the same width, its vertices in order.
std::vector<DrawnPlace> place_vertices(const Fabric& fabric, double& width, double& height) {
  std::map<int, std::vector<std::size_t>> rows;
  for (std::size_t v = 0; v < fabric.vertices().size(); ++v) {
    const Vertex& vertex = fabric.vertices()[v];
    if (vertex.node < kDrawnNodes) {
      rows[style_of(vertex.kind).row].push_back(v);
    }
  }
  std::size_t widest = 1;
  for (const auto& [row, members] : rows) {
    widest = std::max(widest, members.size());
  }
  width = static_cast<double>(widest) * kStep;
  std::vector<DrawnPlace> places(fabric.vertices().size());
  double y = kMargin;
  for (const auto& [row, members] : rows) {
    for (std::size_t i = 0; i < members.size(); ++i) {
      const double share = (static_cast<double>(i) + 0.5) / static_cast<double>(members.size());
      places[members[i]] = {kMargin + share * width, y, true};
    }
    y += kRow;
  }
  height = y;
  return places;
}

}  // namespace

std::string draw_fabric(const Fabric& fabric) {
  double width = 0.0;
  double height = 0.0;
  const std::vector<DrawnPlace> places = place_vertices(fabric, width, height);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width + 2.0 * kMargin, height + kMargin);
  double fastest = 1.0;
  for (const Link& link : fabric.links()) {
    fastest = std::max(fastest, link.bandwidth.value);
  }
  for (const Link& link : fabric.links()) {
    const DrawnPlace& a = places[link.from.index()];
    const DrawnPlace& b = places[link.to.index()];
    // One line for both directions.
    if (a.drawn && b.drawn && link.from < link.to) {
      // Neighbours of one row are joined by arcs, the higher the farther apart, so that links do not hide one another.
      const bool same_row = a.y == b.y;
      const double bend = same_row ? std::min(kRow * 0.8, 0.35 * std::abs(b.x - a.x)) : 0.0;
      svg += fmt::format(
          "<path d=\"M {:.1f} {:.1f} Q {:.1f} {:.1f} {:.1f} {:.1f}\" fill=\"none\" stroke=\"#555\" "
          "stroke-opacity=\"0.5\" stroke-width=\"{:.2f}\"><title>{}: {:.1f} GB/s</title></path>\n",
          a.x, a.y, (a.x + b.x) / 2.0, (a.y + b.y) / 2.0 + bend, b.x, b.y,
          0.5 + 3.0 * std::sqrt(link.bandwidth.value / fastest), kLinkKindNames.name_of(link.kind),
          link.bandwidth.value / 1e9);
    }
  }
  std::map<int, std::string_view> row_names;
  for (std::size_t v = 0; v < places.size(); ++v) {
    if (!places[v].drawn) {
      continue;
    }
    const Vertex& vertex = fabric.vertices()[v];
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\" fill=\"{}\"><title>{}{}</title></circle>\n",
                       places[v].x, places[v].y, kRadius, style_of(vertex.kind).fill, xml_text(vertex_name(vertex)),
                       vertex.multiplicity > 1 ? fmt::format(" (stands for {})", vertex.multiplicity) : "");
    const int row = static_cast<int>(places[v].y);
    if (row_names.emplace(row, kVertexKindNames.name_of(vertex.kind)).second) {
      svg += fmt::format("<text x=\"4\" y=\"{:.1f}\">{}</text>\n", places[v].y + 4.0,
                         kVertexKindNames.name_of(vertex.kind));
    }
  }
  const int nodes = fabric.node_of(DeviceId::from(fabric.devices() - 1)) + 1;
  const std::string more =
      nodes > kDrawnNodes ? fmt::format(", first {} of {} nodes drawn", kDrawnNodes, nodes) : std::string();
  svg += fmt::format("<text x=\"4\" y=\"20\" font-size=\"14\">{}: {} GPUs{}</text>\n</svg>\n", xml_text(fabric.name()),
                     fabric.devices(), more);
  return svg;
}

}  // namespace trainyard
