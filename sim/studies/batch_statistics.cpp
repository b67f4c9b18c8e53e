#include "sim/studies/batch_statistics.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kFolder = "sim/studies/batch_references";
constexpr double kMostSamples = 1e18;

std::vector<BatchPoint> read_points(const JsonReader& json, double units_per_sample) {
  std::vector<BatchPoint> points;
  for (const JsonReader& point : json.elements()) {
    const std::vector<JsonReader> pair = point.elements();
    if (pair.size() != 2) {
      point.fail("a point has a batch and what it took to the target", "[batch, units]");
    }
    points.push_back({.batch = pair[0].number(1.0, kMostSamples),
                      .samples = pair[1].number(1e-18, kMostSamples) / units_per_sample});
  }
  if (points.size() < 2) {
    json.fail("a line needs two points", "two points or more");
  }
  return points;
}

}  // namespace

BatchStatistics fit_batch_statistics(const std::vector<BatchPoint>& points) {
  const auto count = static_cast<double>(points.size());
  double mean_batch = 0.0;
  double mean_samples = 0.0;
  for (const BatchPoint& point : points) {
    mean_batch += point.batch / count;
    mean_samples += point.samples / count;
  }
  double both = 0.0;
  double spread = 0.0;
  for (const BatchPoint& point : points) {
    both += (point.batch - mean_batch) * (point.samples - mean_samples);
    spread += (point.batch - mean_batch) * (point.batch - mean_batch);
  }
  const double slope = both / spread;
  const double least = mean_samples - slope * mean_batch;
  return {.least_samples = least, .critical_batch = least / slope};
}

double BatchReference::worst_error() const {
  double worst = 0.0;
  for (const BatchPoint& point : points) {
    worst = std::max(worst, std::abs(fit.samples(point.batch) / point.samples - 1.0));
  }
  return worst;
}

BatchStatistics BatchReference::at(double seq_len) const {
  const double scale = tokens_per_sample > 0.0 ? tokens_per_sample / seq_len : 1.0;
  return {
      .least_samples = fit.least_samples * scale, .critical_batch = fit.critical_batch * scale, .error = worst_error()};
}

std::vector<std::string> batch_reference_names() {
  return catalogue_names(kFolder);
}

BatchReference load_batch_reference(const std::string& name, const std::string& flag) {
  const std::filesystem::path path = catalogue_path(kFolder, "batch reference", name, flag, "");
  const Json document = read_json_file(path);
  const JsonReader json(document, path.string());
  json.expect_keys(
      {"description", "source", "unit", "units_per_sample", "tokens_per_sample", "stated_error", "points"});
  BatchReference reference{.name = path.stem().string(),
                           .description = json.at("description").text(),
                           .stated_error = json.at("stated_error").number(0.0, 1.0),
                           .points = read_points(json.at("points"), json.at("units_per_sample").number(1e-18, 1e9))};
  if (const auto found = json.find("tokens_per_sample")) {
    reference.tokens_per_sample = found->number(1.0, kMostSamples);
  }
  reference.fit = fit_batch_statistics(reference.points);
  return reference;
}

}  // namespace trainyard
