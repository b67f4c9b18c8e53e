// Bus bandwidth over message size, both axes logarithmic in size and linear in bandwidth.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "sim/base/quantity_text.hpp"
#include "sim/base/xml_text.hpp"
#include "sim/collectives/collective_table.hpp"

namespace trainyard {
namespace {

constexpr double kWidth = 760.0;
constexpr double kHeight = 420.0;
constexpr double kLeft = 70.0;
constexpr double kBottom = 60.0;
constexpr double kTop = 40.0;
constexpr std::array<std::string_view, 8> kColours = {"#1b7837", "#762a83", "#e08214", "#2166ac",
                                                      "#b2182b", "#5aae61", "#9970ab", "#fdb863"};

struct Axes {
  double smallest = 1.0;
  double largest = 2.0;
  double fastest = 1.0;
  double x(double size) const {
    const double span = std::max(1.0, std::log2(largest / smallest));
    return kLeft + (kWidth - kLeft - 20.0) * std::log2(size / smallest) / span;
  }
  double y(double rate) const { return kHeight - kBottom - (kHeight - kBottom - kTop) * rate / fastest; }
};

double bus_rate(const CollectiveSweep& sweep, const SweepRow& row) {
  return row.time.value > 0.0 ? row.size.value / row.time.value * bus_factor(sweep.op, sweep.ranks) / 1e9 : 0.0;
}

std::string draw_axes(const Axes& axes, const CollectiveSweep& sweep) {
  std::string svg;
  for (double size = axes.smallest; size <= axes.largest * 1.001; size *= 16.0) {
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/><text x=\"{0:.1f}\" "
        "y=\"{3:.1f}\" text-anchor=\"middle\">{4}</text>\n",
        axes.x(size), kTop, kHeight - kBottom, kHeight - kBottom + 16.0, to_text(Bytes{size}));
  }
  for (int tick = 0; tick <= 4; ++tick) {
    const double rate = axes.fastest * tick / 4.0;
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\" stroke=\"#ddd\"/><text x=\"{3:.1f}\" "
        "y=\"{4:.1f}\" text-anchor=\"end\">{5:.0f}</text>\n",
        kLeft, axes.y(rate), kWidth - 20.0, kLeft - 6.0, axes.y(rate) + 4.0, rate);
  }
  svg += fmt::format("<text x=\"{}\" y=\"20\" font-size=\"14\">{} on {} GPUs of {}: bus bandwidth in GB/s</text>\n",
                     kLeft, kCollectiveOpNames.name_of(sweep.op), sweep.ranks, xml_text(sweep.cluster));
  return svg;
}

}  // namespace

std::string draw_sweep(const CollectiveSweep& sweep) {
  Axes axes;
  std::map<std::string, std::vector<const SweepRow*>> lines;
  bool first = true;
  for (const SweepRow& row : sweep.rows) {
    axes.smallest = first ? row.size.value : std::min(axes.smallest, row.size.value);
    axes.largest = first ? row.size.value : std::max(axes.largest, row.size.value);
    axes.fastest = std::max(axes.fastest, bus_rate(sweep, row));
    lines[fmt::format("{} {}", name_of(row.algorithm), name_of(row.protocol))].push_back(&row);
    first = false;
  }
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      kWidth, kHeight);
  svg += draw_axes(axes, sweep);
  std::size_t colour = 0;
  for (const auto& [name, rows] : lines) {
    const std::string_view stroke = kColours[colour % kColours.size()];
    std::string points;
    for (const SweepRow* row : rows) {
      points += fmt::format("{:.1f},{:.1f} ", axes.x(row->size.value), axes.y(bus_rate(sweep, *row)));
      if (row->chosen) {
        svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", axes.x(row->size.value),
                           axes.y(bus_rate(sweep, *row)), stroke);
      }
    }
    svg += fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"/>\n", points, stroke);
    const std::size_t legend_row = colour / 6;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\">{}</text>\n",
                       kLeft + 120.0 * static_cast<double>(colour % 6),
                       kHeight - 26.0 + 14.0 * static_cast<double>(legend_row), stroke, name);
    ++colour;
  }
  return svg + "</svg>\n";
}

}  // namespace trainyard
