#include "sim/collectives/calibration.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "sim/base/files.hpp"
#include "sim/base/si_prefixes.hpp"

namespace trainyard {
namespace {

constexpr std::string_view kCollectiveCalibrations = "sim/collectives/calibration";
constexpr double kLargestCoefficient = 1e6;
constexpr double kLeastLatency = 0.2;  // a fitted line never crosses zero at small latencies

}  // namespace

CalibratedTime apply_curve(const TimeCurve& curve, Seconds latency, Seconds transfer, int ranks) {
  const double n = ranks;
  return {.latency = {std::max(curve.fixed_us * kMicro + curve.latency * latency.value, kLeastLatency * latency.value)},
          .transfer = {(curve.transfer + curve.transfer_few * 4.0 / (n * n)) * transfer.value +
                       curve.mixed * std::sqrt(latency.value * transfer.value)}};
}

TimeCurve CollectiveCalibration::find(CollectiveOp op, Algorithm algorithm, Protocol protocol, bool many_nodes) const {
  const TimeCurve* best = nullptr;
  std::size_t best_words = 0;  // how closely the best key describes the call
  for (const auto& [key, curve] : curves) {
    const bool fits = (!key.op || key.op == op) && (!key.algorithm || key.algorithm == algorithm) &&
                      (!key.protocol || key.protocol == protocol) && key.many_nodes == many_nodes;
    const std::size_t words = 1 + (key.op ? 2U : 0U) + (key.algorithm ? 1U : 0U);
    if (fits && words > best_words) {
      best = &curve;
      best_words = words;
    }
  }
  return best == nullptr ? TimeCurve{} : *best;
}

CollectiveCalibration read_calibration(const std::string& name, const JsonReader& json) {
  json.expect_keys({"source", "curves", "fit"});
  CollectiveCalibration out;
  out.name = name;
  for (const JsonReader& row : json.at("curves").elements()) {
    row.expect_keys(
        {"op", "algorithm", "protocol", "nodes", "fixed_us", "latency", "transfer", "transfer_few", "mixed", "rows"});
    constexpr NameTable<bool, 2> kNodes{{{{"one", false}, {"many", true}}}};
    CurveKey key;
    if (const auto op = row.find("op")) {
      key.op = op->choice(kCollectiveOpNames);
    }
    if (const auto algorithm = row.find("algorithm")) {
      key.algorithm = algorithm->choice(kAlgorithmNames);
    }
    if (const auto protocol = row.find("protocol")) {
      key.protocol = protocol->choice(kProtocolNames);
    }
    key.many_nodes = row.at("nodes").choice(kNodes);
    out.curves.emplace_back(key, TimeCurve{row.at("fixed_us").number(-kLargestCoefficient, kLargestCoefficient),
                                           row.at("latency").number(0.0, kLargestCoefficient),
                                           row.at("transfer").number(0.0, kLargestCoefficient),
                                           row.at("transfer_few").number(0.0, kLargestCoefficient),
                                           row.at("mixed").number(0.0, kLargestCoefficient)});
  }
  return out;
}

Json calibration_json(const CollectiveCalibration& calibration, const std::string& source) {
  Json rows = Json::array();
  const auto rounded = [](double x) { return std::round(x * 1e4) / 1e4; };
  for (const auto& [key, curve] : calibration.curves) {
    Json row;
    if (key.op) {
      row["op"] = kCollectiveOpNames.name_of(*key.op);
    }
    if (key.algorithm) {
      row["algorithm"] = name_of(key.algorithm);
      row["protocol"] = name_of(key.protocol);
    }
    row["nodes"] = key.many_nodes ? "many" : "one";
    row["fixed_us"] = rounded(curve.fixed_us);
    row["latency"] = rounded(curve.latency);
    row["transfer"] = rounded(curve.transfer);
    row["transfer_few"] = rounded(curve.transfer_few);
    row["mixed"] = rounded(curve.mixed);
    rows.push_back(std::move(row));
  }
  return {{"source", source}, {"curves", std::move(rows)}};
}

const CollectiveCalibration& collective_calibration(std::string_view name, std::string_view file,
                                                    std::string_view pointer) {
  static std::mutex mutex;
  static std::map<std::string, CollectiveCalibration, std::less<>> entries;
  const std::scoped_lock lock(mutex);
  const auto found = entries.find(name);
  if (found != entries.end()) {
    return found->second;
  }
  const auto path =
      catalogue_path(kCollectiveCalibrations, "collective calibration", name, std::string(file), std::string(pointer));
  const Json document = read_json_file(path);
  return entries.emplace(name, read_calibration(std::string(name), JsonReader(document, path.string()))).first->second;
}

}  // namespace trainyard
