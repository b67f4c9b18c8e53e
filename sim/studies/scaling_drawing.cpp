// Throughput above, both axes logarithmic, and efficiency below over the same GPUs.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/base/xml_text.hpp"
#include "sim/studies/scaling.hpp"

namespace trainyard {
namespace {

constexpr double kWidth = 760.0;
constexpr double kLeft = 80.0;
constexpr double kRight = 20.0;
constexpr double kTop = 44.0;
constexpr double kThroughputHeight = 240.0;
constexpr double kGap = 44.0;
constexpr double kEfficiencyHeight = 140.0;
constexpr double kEfficiencyTop = kTop + kThroughputHeight + kGap;
constexpr double kHeight = kEfficiencyTop + kEfficiencyHeight + 60.0;
constexpr std::array<std::string_view, 8> kCurveColours = {"#1b7837", "#762a83", "#e08214", "#2166ac",
                                                           "#b2182b", "#5aae61", "#9970ab", "#fdb863"};

struct ScalingAxes {
  double fewest = 0.0;
  double most = 0.0;
  double slowest = 0.0;  // samples/s
  double fastest = 0.0;
  double highest = 1.0;  // efficiency

  void include(const ScalingPoint& point) {
    const auto gpus = static_cast<double>(point.gpus);
    const bool is_first = fewest == 0.0;
    fewest = is_first ? gpus : std::min(fewest, gpus);
    most = std::max(most, gpus);
    slowest = is_first ? point.samples_per_second : std::min(slowest, point.samples_per_second);
    fastest = std::max(fastest, point.samples_per_second);
    highest = std::max(highest, point.efficiency);
  }
  double x(std::int64_t gpus) const {
    const double span = std::max(1e-9, std::log2(most / fewest));
    return kLeft + (kWidth - kLeft - kRight) * std::log2(static_cast<double>(gpus) / fewest) / span;
  }
  // What is slower than all points, as a line of perfect scaling may be, lies on the lower edge.
  double throughput_y(double rate) const {
    const double span = std::max(1e-9, std::log2(fastest / slowest));
    const double share = std::clamp(std::log2(rate / slowest) / span, 0.0, 1.0);
    return kTop + kThroughputHeight * (1.0 - share);
  }
  double efficiency_y(double efficiency) const {
    return kEfficiencyTop + kEfficiencyHeight * (1.0 - efficiency / highest);
  }
};

std::string grid_line(double x1, double y1, double x2, double y2) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>\n", x1, y1, x2,
                     y2);
}

std::string label(double x, double y, std::string_view anchor, std::string_view text) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, xml_text(text));
}

std::string draw_scaling_axes(const ScalingStudy& study, const ScalingAxes& axes) {
  std::string svg;
  std::vector<std::int64_t> gpus;
  for (const ScalingCurve& curve : study.curves) {
    for (const ScalingPoint& point : curve.points) {
      if (point.answered()) {
        gpus.push_back(point.gpus);
      }
    }
  }
  std::sort(gpus.begin(), gpus.end());
  gpus.erase(std::unique(gpus.begin(), gpus.end()), gpus.end());
  constexpr double kLabelWidth = 44.0;
  double free_from = 0.0;
  for (const std::int64_t count : gpus) {
    const double x = axes.x(count);
    svg += grid_line(x, kTop, x, kTop + kThroughputHeight);
    svg += grid_line(x, kEfficiencyTop, x, kEfficiencyTop + kEfficiencyHeight);
    if (x >= free_from) {
      svg += label(x, kEfficiencyTop + kEfficiencyHeight + 16.0, "middle", fmt::format("{}", count));
      free_from = x + kLabelWidth;
    }
  }
  constexpr int kTicks = 4;
  for (int tick = 0; tick <= kTicks; ++tick) {
    const double share = static_cast<double>(tick) / kTicks;
    const double rate = axes.slowest * std::pow(axes.fastest / axes.slowest, share);
    const double efficiency = axes.highest * share;
    for (const auto& [y, text] :
         {std::pair(axes.throughput_y(rate), fmt::format("{:.3g}", rate)),
          std::pair(axes.efficiency_y(efficiency), fmt::format("{:.0f} %", 100 * efficiency))}) {
      svg += grid_line(kLeft, y, kWidth - kRight, y);
      svg += label(kLeft - 6.0, y + 4.0, "end", text);
    }
  }
  return svg + label(kLeft, kTop - 6.0, "start", "samples/s (dashed: linear)") +
         label(kLeft, kEfficiencyTop - 6.0, "start", "efficiency");
}

std::string polyline(const std::string& points, std::string_view colour, std::string_view more = "") {
  return fmt::format("<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"{}/>\n", points, colour,
                     more);
}

std::string draw_curve(const ScalingCurve& curve, const ScalingAxes& axes, std::string_view colour) {
  std::string throughput;
  std::string linear;
  std::string efficiency;
  std::string marks;
  for (std::size_t i = 0; i < curve.points.size(); ++i) {
    const ScalingPoint& point = curve.points[i];
    if (!point.answered()) {
      continue;
    }
    const double x = axes.x(point.gpus);
    const double y = axes.throughput_y(point.samples_per_second);
    const double low = axes.efficiency_y(point.efficiency);
    throughput += fmt::format("{:.1f},{:.1f} ", x, y);
    linear += fmt::format("{:.1f},{:.1f} ", x, axes.throughput_y(point.samples_per_second / point.efficiency));
    efficiency += fmt::format("{:.1f},{:.1f} ", x, low);
    for (const double at : {y, low}) {
      marks += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3\" fill=\"{}\"/>\n", x, at, colour);
      if (curve.knee && curve.knee->point == i) {
        marks += fmt::format(
            "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"8\" fill=\"none\" stroke=\"#d4455a\" "
            "stroke-width=\"2\"><title>knee: {}</title></circle>\n",
            x, at, curve.knee->growth.front().part);
      }
    }
  }
  return polyline(linear, colour, " stroke-dasharray=\"4 4\" stroke-opacity=\"0.5\"") + polyline(throughput, colour) +
         polyline(efficiency, colour) + marks;
}

}  // namespace

std::string draw_scaling(const ScalingStudy& study, std::string_view title) {
  ScalingAxes axes;
  for (const ScalingCurve& curve : study.curves) {
    for (const ScalingPoint& point : curve.points) {
      if (point.answered()) {
        axes.include(point);
      }
    }
  }
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{2:.0f}\" y=\"20\" font-size=\"14\">{3}</text>\n",
      kWidth, kHeight, kLeft, xml_text(title));
  svg += draw_scaling_axes(study, axes);
  for (std::size_t i = 0; i < study.curves.size(); ++i) {
    const std::string_view colour = kCurveColours[i % kCurveColours.size()];
    svg += draw_curve(study.curves[i], axes, colour);
    svg += fmt::format(
        "<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\">batch {}</text>\n", kLeft + 90.0 * static_cast<double>(i % 7),
        kHeight - 24.0 + 14.0 * static_cast<double>(std::min<std::size_t>(1, i / 7)), colour, study.curves[i].batch);
  }
  return svg + "</svg>\n";
}

}  // namespace trainyard
