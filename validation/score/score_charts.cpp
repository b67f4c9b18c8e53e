#include "validation/score/score_charts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

#include "validation/tables/statistics.hpp"

namespace trainyard {
namespace {

constexpr std::array<std::string_view, 12> kColours = {"#2166ac", "#b2182b", "#1b7837", "#e08214",
                                                       "#762a83", "#3fa7b8", "#8a6238", "#c23b8e",
                                                       "#5aae61", "#555555", "#c9b458", "#9970ab"};
constexpr std::string_view kGrid = "#dddddd";

std::string open_svg(double width, double height, const std::string& title) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" "
      "font-family=\"sans-serif\" font-size=\"11\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
      "<text x=\"12\" y=\"20\" font-size=\"14\">{2}</text>\n",
      width, height, title);
}

std::string line(double x1, double y1, double x2, double y2, std::string_view style) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
}

std::string text(double x, double y, std::string_view anchor, const std::string& words) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", x, y, anchor, words);
}

// Both axes are alike, so that no error is the diagonal.
struct LogAxes {
  int smallest = 0;  // powers of ten
  int largest = 1;
  static constexpr double kSide = 460.0;
  static constexpr double kLeft = 60.0;
  static constexpr double kTop = 36.0;

  double along(double value) const { return kSide * (std::log10(value) - smallest) / (largest - smallest); }
  double x(double value) const { return kLeft + along(value); }
  double y(double value) const { return kTop + kSide - along(value); }
};

LogAxes axes_of(std::span<const ChartSeries> series) {
  double least = 1e300;
  double most = 0.0;
  for (const ChartSeries& one : series) {
    for (const std::vector<double>* values : {&one.measured, &one.predicted}) {
      for (const double value : *values) {
        least = std::min(least, value);
        most = std::max(most, value);
      }
    }
  }
  if (most <= 0.0) {
    return {};
  }
  const int smallest = static_cast<int>(std::floor(std::log10(least)));
  return {.smallest = smallest, .largest = std::max(smallest + 1, static_cast<int>(std::ceil(std::log10(most))))};
}

std::string draw_log_axes(const LogAxes& axes) {
  const double end = LogAxes::kLeft + LogAxes::kSide;
  const double bottom = LogAxes::kTop + LogAxes::kSide;
  std::string svg;
  for (int power = axes.smallest; power <= axes.largest; ++power) {
    const double value = std::pow(10.0, power);
    const std::string style = fmt::format("stroke=\"{}\"", kGrid);
    svg += line(axes.x(value), LogAxes::kTop, axes.x(value), bottom, style);
    svg += line(LogAxes::kLeft, axes.y(value), end, axes.y(value), style);
    svg += text(axes.x(value), bottom + 16.0, "middle", fmt::format("1e{}", power));
    svg += text(LogAxes::kLeft - 6.0, axes.y(value) + 4.0, "end", fmt::format("1e{}", power));
  }
  svg += text(LogAxes::kLeft + LogAxes::kSide / 2.0, bottom + 34.0, "middle", "measured");
  svg += fmt::format("<text transform=\"translate(16 {:.1f}) rotate(-90)\" text-anchor=\"middle\">predicted</text>\n",
                     LogAxes::kTop + LogAxes::kSide / 2.0);
  const double low = std::pow(10.0, axes.smallest);
  const double high = std::pow(10.0, axes.largest);
  svg += line(axes.x(low), axes.y(low), axes.x(high), axes.y(high), "stroke=\"#888888\"");
  constexpr double kBand = 1.2;
  const std::string dashed = "stroke=\"#bbbbbb\" stroke-dasharray=\"4 4\"";
  svg += line(axes.x(low), axes.y(low * kBand), axes.x(high / kBand), axes.y(high), dashed);
  svg += line(axes.x(low * kBand), axes.y(low), axes.x(high), axes.y(high / kBand), dashed);
  return svg;
}

// One path of dots; dots on one pixel are drawn once.
std::string draw_dots(const LogAxes& axes, const ChartSeries& series, std::string_view colour) {
  std::set<std::pair<long, long>> pixels;
  for (std::size_t i = 0; i < series.measured.size(); ++i) {
    pixels.emplace(std::lround(axes.x(series.measured[i])), std::lround(axes.y(series.predicted[i])));
  }
  std::string path;
  for (const auto& [x, y] : pixels) {
    path += fmt::format("M{} {}h0", x, y);
  }
  return fmt::format(
      "<path d=\"{}\" stroke=\"{}\" stroke-width=\"3\" stroke-linecap=\"round\" stroke-opacity=\"0.6\" "
      "fill=\"none\"/>\n",
      path, colour);
}

// Axis of signed errors, as fractions.
constexpr double kMostError = 0.6;
constexpr double kNames = 330.0;
constexpr double kErrorWidth = 420.0;
constexpr double kRow = 16.0;

double error_x(double error) {
  return kNames + kErrorWidth * (std::clamp(error, -kMostError, kMostError) + kMostError) / (2.0 * kMostError);
}

std::string draw_error_row(const ChartSeries& series, double y) {
  std::vector<double> errors;
  for (std::size_t i = 0; i < series.measured.size(); ++i) {
    errors.push_back(series.predicted[i] / series.measured[i] - 1.0);
  }
  const auto at = [&](double share) { return error_x(*quantile(errors, share)); };
  std::string svg = text(kNames - 8.0, y + 4.0, "end", series.name);
  svg += line(at(0.1), y, at(0.9), y, "stroke=\"#2166ac\"");
  svg += fmt::format(
      "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"8\" fill=\"#92b8dc\" stroke=\"#2166ac\"/>\n", at(0.25),
      y - 4.0, std::max(0.5, at(0.75) - at(0.25)));
  svg += line(at(0.5), y - 5.0, at(0.5), y + 5.0, "stroke=\"#b2182b\" stroke-width=\"2\"");
  return svg + text(kNames + kErrorWidth + 52.0, y + 4.0, "end", fmt::format("{}", errors.size()));
}

}  // namespace

std::string draw_predicted_against_measured(const std::string& title, std::span<const ChartSeries> series) {
  const LogAxes axes = axes_of(series);
  constexpr double kLegend = 260.0;
  std::string svg = open_svg(LogAxes::kLeft + LogAxes::kSide + kLegend, LogAxes::kTop + LogAxes::kSide + 46.0, title);
  svg += draw_log_axes(axes);
  for (std::size_t i = 0; i < series.size(); ++i) {
    const std::string_view colour = kColours[i % kColours.size()];
    svg += draw_dots(axes, series[i], colour);
    const double y = LogAxes::kTop + 12.0 + 16.0 * static_cast<double>(i);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n",
                       LogAxes::kLeft + LogAxes::kSide + 16.0, y - 4.0, colour);
    svg += text(LogAxes::kLeft + LogAxes::kSide + 26.0, y, "start",
                fmt::format("{} ({})", series[i].name, series[i].measured.size()));
  }
  return svg + "</svg>\n";
}

std::string draw_error_distribution(const std::string& title, std::span<const ChartSeries> series) {
  constexpr double kTop = 52.0;
  const double bottom = kTop + kRow * static_cast<double>(series.size());
  std::string svg = open_svg(kNames + kErrorWidth + 64.0, bottom + 28.0, title);
  constexpr int kTicks = 6;
  for (int tick = -kTicks; tick <= kTicks; tick += 2) {
    const double x = error_x(kMostError * tick / kTicks);
    svg += line(x, kTop - 8.0, x, bottom, fmt::format("stroke=\"{}\"", tick == 0 ? "#888888" : kGrid));
    svg += text(x, bottom + 16.0, "middle", fmt::format("{:+d} %", tick * 10));
  }
  svg += text(kNames + kErrorWidth + 52.0, kTop - 12.0, "end", "rows");
  for (std::size_t i = 0; i < series.size(); ++i) {
    svg += draw_error_row(series[i], kTop + kRow * (static_cast<double>(i) + 0.5));
  }
  return svg + "</svg>\n";
}

}  // namespace trainyard
