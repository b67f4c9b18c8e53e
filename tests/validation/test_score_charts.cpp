#include <doctest/doctest.h>

#include <string>

#include "validation/score/score_charts.hpp"

namespace trainyard::test_score_charts {
namespace {

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + word.size())) {
    ++count;
  }
  return count;
}

// Measured 1 to 10 seconds, predicted 10 % too long.
ChartSeries long_by_a_tenth() {
  ChartSeries series{.name = "table"};
  for (int i = 1; i <= 10; ++i) {
    series.measured.push_back(i);
    series.predicted.push_back(1.1 * i);
  }
  return series;
}

}  // namespace

TEST_CASE("a dot lies where both logarithms put it, and dots on one pixel are one") {
  // Axes from 1 to 10 over 460 pixels; left edge 60, bottom 36 + 460. sqrt(10) is half way on both axes.
  const ChartSeries middle{.name = "m", .measured = {1.0, 3.16227766, 10.0}, .predicted = {1.0, 3.16227766, 10.0}};
  const std::string svg = draw_predicted_against_measured("t", std::vector{middle});
  CHECK(svg.find("M60 496h0") != std::string::npos);
  CHECK(svg.find("M290 266h0") != std::string::npos);
  CHECK(svg.find("M520 36h0") != std::string::npos);
  CHECK(svg.find("m (3)") != std::string::npos);
  const ChartSeries twice{.name = "m", .measured = {2.0, 2.0}, .predicted = {3.0, 3.0}};
  CHECK(count_of(draw_predicted_against_measured("t", std::vector{twice}), "h0") == 1);
}

TEST_CASE("errors are drawn about their percentiles, what lies beyond the axis at its end") {
  // Every error is +10 %: on the axis from -60 to 60 % over 420 pixels from 330 that is 330 + 420 x 70 / 120 = 575.
  const std::string svg = draw_error_distribution("t", std::vector{long_by_a_tenth()});
  CHECK(svg.find("<line x1=\"575.0\" y1=\"60.0\" x2=\"575.0\" y2=\"60.0\"") != std::string::npos);
  const ChartSeries wild{.name = "w", .measured = {1.0}, .predicted = {9.0}};
  CHECK(draw_error_distribution("t", std::vector{wild}).find("<line x1=\"750.0\" y1=\"60.0\" x2=\"750.0\"") !=
        std::string::npos);
}

TEST_CASE("the same series give the same bytes, and no series an empty frame") {
  const std::vector<ChartSeries> series{long_by_a_tenth()};
  CHECK(draw_predicted_against_measured("t", series) == draw_predicted_against_measured("t", series));
  CHECK(draw_predicted_against_measured("t", {}).ends_with("</svg>\n"));
  CHECK(draw_error_distribution("t", {}).ends_with("</svg>\n"));
}

}  // namespace trainyard::test_score_charts
