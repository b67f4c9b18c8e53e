#pragma once
// The scoreboard's pictures as SVG. The same series give the same bytes.
#include <span>
#include <string>
#include <vector>

namespace trainyard {

struct ChartSeries {
  std::string name;
  std::vector<double> measured;   // positive
  std::vector<double> predicted;  // positive, as many
};

// Predicted over measured, both axes logarithmic, with the line of no error and lines at plus and minus 20 %.
std::string draw_predicted_against_measured(const std::string& title, std::span<const ChartSeries> series);

// A row for each series: tenth to ninetieth percentile of the signed error as a line, its quartiles as a box, its
// median as a tick. What lies beyond the axis is drawn at its end.
std::string draw_error_distribution(const std::string& title, std::span<const ChartSeries> series);

}  // namespace trainyard
