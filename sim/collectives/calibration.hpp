#pragma once
// From the tuner's estimate to time: the tuner is made to choose, not to predict, so its two terms are rescaled per
// operation, algorithm and protocol by curves fitted to measurements (sim/collectives/calibration).
//     t = max(fixed + latency L, L / 5) + (transfer + transfer_few 4 / n^2) X + mixed sqrt(L X)
// with the tuner's latency L and transfer X over n ranks. The mixed term is the slow approach to full rate at middle
// sizes; transfer_few is what few members lose: published bus bandwidths of 2, 4 and 8 GPUs differ like 4 / n^2. It
// stops being true where the library behind the measurement chooses otherwise than the tuner, and outside the sizes it
// was fitted on only by the two linear terms.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/collective_algorithm.hpp"
#include "sim/base/json_reader.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

struct TimeCurve {
  double fixed_us = 0.0;
  double latency = 1.0;
  double transfer = 1.0;
  double transfer_few = 0.0;
  double mixed = 0.0;
};

// What a curve applies to; an absent operation, algorithm or protocol stands for all.
struct CurveKey {
  std::optional<CollectiveOp> op;
  std::optional<Algorithm> algorithm;
  std::optional<Protocol> protocol;
  bool many_nodes = false;
  auto operator<=>(const CurveKey&) const = default;
};

struct CalibratedTime {
  Seconds latency{};
  Seconds transfer{};
};

CalibratedTime apply_curve(const TimeCurve& curve, Seconds latency, Seconds transfer, int ranks);

struct CollectiveCalibration {
  std::string name;
  std::vector<std::pair<CurveKey, TimeCurve>> curves;

  // The curve whose key says most about the call; without any the tuner's own time.
  TimeCurve find(CollectiveOp op, Algorithm algorithm, Protocol protocol, bool many_nodes) const;
};

CollectiveCalibration read_calibration(const std::string& name, const JsonReader& json);
Json calibration_json(const CollectiveCalibration& calibration, const std::string& source);

// Entries of sim/collectives/calibration, read once per process.
const CollectiveCalibration& collective_calibration(std::string_view name, std::string_view file,
                                                    std::string_view pointer);

}  // namespace trainyard
