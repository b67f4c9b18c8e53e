// Loss over simulated time: linear in time, logarithmic in loss.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "sim/base/quantity_text.hpp"
#include "sim/base/xml_text.hpp"
#include "sim/learning/convergence.hpp"

namespace trainyard {
namespace {

constexpr double kWidth = 760.0;
constexpr double kHeight = 472.0;
constexpr double kLeft = 70.0;
constexpr double kRight = 20.0;
constexpr double kTop = 40.0;
constexpr double kBottom = 112.0;
// Losses further below the largest one are drawn at the lower edge.
constexpr double kMostDecades = 12.0;
constexpr std::array<std::string_view, 10> kColours = {"#1b7837", "#762a83", "#e08214", "#2166ac", "#b2182b",
                                                       "#5aae61", "#c2a5cf", "#8c510a", "#4393c3", "#404040"};

struct LossAxes {
  Seconds longest{};
  double lowest = 0.0;  // log10 of losses
  double highest = 0.0;
  double x(Seconds time) const { return kLeft + (kWidth - kLeft - kRight) * (time / longest); }
  double y(double loss) const {
    const double level = loss > 0.0 ? std::clamp(std::log10(loss), lowest, highest) : lowest;
    return kTop + (kHeight - kTop - kBottom) * (highest - level) / (highest - lowest);
  }
};

LossAxes axes_of(const std::vector<ModeOutcome>& outcomes) {
  LossAxes axes;
  double least = 0.0;
  double most = 0.0;
  for (const ModeOutcome& outcome : outcomes) {
    axes.longest = max(axes.longest, outcome.times.total);
    for (const LearningPoint& point : outcome.curve.points) {
      most = std::max(most, point.loss);
      if (point.loss > 0.0) {
        least = least > 0.0 ? std::min(least, point.loss) : point.loss;
      }
    }
  }
  axes.highest = most > 0.0 ? std::ceil(std::log10(most)) : 0.0;
  axes.lowest = least > 0.0 ? std::max(std::floor(std::log10(least)), axes.highest - kMostDecades) : axes.highest - 1.0;
  axes.lowest = std::min(axes.lowest, axes.highest - 1.0);
  return axes;
}

std::string draw_grid(const LossAxes& axes) {
  std::string svg;
  for (double decade = axes.lowest; decade <= axes.highest; decade += 1.0) {
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{2:.1f}\" y2=\"{1:.1f}\" stroke=\"#ddd\"/><text x=\"{3:.1f}\" "
        "y=\"{4:.1f}\" text-anchor=\"end\">{5:g}</text>\n",
        kLeft, axes.y(std::pow(10.0, decade)), kWidth - kRight, kLeft - 6.0, axes.y(std::pow(10.0, decade)) + 4.0,
        std::pow(10.0, decade));
  }
  for (int tick = 0; tick <= 4; ++tick) {
    const Seconds time = axes.longest * (tick / 4.0);
    svg += fmt::format(
        "<line x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\" stroke=\"#ddd\"/><text x=\"{0:.1f}\" "
        "y=\"{3:.1f}\" text-anchor=\"middle\">{4}</text>\n",
        axes.x(time), kTop, kHeight - kBottom, kHeight - kBottom + 16.0, to_text(time));
  }
  return svg;
}

std::string draw_line(const LossAxes& axes, const std::vector<LearningPoint>& points,
                      const std::function<double(std::size_t)>& level, std::string_view style) {
  std::string places;
  for (std::size_t p = 0; p < points.size(); ++p) {
    places += fmt::format("{:.1f},{:.1f} ", axes.x(points[p].time), axes.y(level(p)));
  }
  return fmt::format("<polyline points=\"{}\" fill=\"none\" {}/>\n", places, style);
}

}  // namespace

std::string draw_convergence(std::string_view title, const std::vector<ModeOutcome>& outcomes) {
  const LossAxes axes = axes_of(outcomes);
  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"{2}\" y=\"20\" font-size=\"14\">{3}: loss over simulated time</text>\n",
      kWidth, kHeight, kLeft, xml_text(title));
  svg += draw_grid(axes);
  int number = 0;
  for (const ModeOutcome& outcome : outcomes) {
    const std::string_view colour = kColours[static_cast<std::size_t>(number) % kColours.size()];
    const std::vector<LearningPoint>& points = outcome.curve.points;
    svg += draw_line(
        axes, points, [&](std::size_t p) { return points[p].loss; },
        fmt::format("stroke=\"{}\" stroke-width=\"1.5\"", colour));
    if (!outcome.bound.empty()) {
      svg += draw_line(
          axes, points, [&](std::size_t p) { return outcome.bound[p]; },
          fmt::format("stroke=\"{}\" stroke-dasharray=\"4 3\"", colour));
    }
    const int row = number / 3;
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" fill=\"{}\">{}{}</text>\n", kLeft + 225.0 * (number % 3),
                       kHeight - 68.0 + 16.0 * row, colour, kSynchronisationNames.name_of(outcome.mode),
                       outcome.bound.empty() ? "" : " (bound dashed)");
    ++number;
  }
  return svg + "</svg>\n";
}

}  // namespace trainyard
