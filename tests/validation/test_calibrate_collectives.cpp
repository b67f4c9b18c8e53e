#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/cli/calibrate_collectives.hpp"
#include "validation/fit/fit_collectives.hpp"

namespace trainyard::test_calibrate_collectives {
namespace {

// What nobody measured: times that the library's own model gives when its curves are bent in a known way. A fit has to
// find the bend.
class SyntheticLog {
 public:
  explicit SyntheticLog(int sizes, double scale_of_last = 1.0) {
    std::string text = "# synthetic\n# ./all_reduce_perf\n# Using devices\n";
    for (int rank = 0; rank < 8; ++rank) {
      text += fmt::format("#  Rank {:>2} Group  0 Pid 1 on node device {} [0x00] NVIDIA A100\n", rank, rank);
    }
    text += "#  size count type redop root time algbw busbw #wrong\n";
    CollectiveCalibration truth{.name = "truth"};
    truth.curves.emplace_back(CurveKey{.many_nodes = false},
                              TimeCurve{.fixed_us = 6.0, .latency = 1.3, .transfer = 1.15});
    CollectiveLaboratory laboratory;
    for (int i = 0; i < sizes; ++i) {
      const double size = 1024.0 * static_cast<double>(1 << i);
      const double time = laboratory.predict(row(size), &truth).value * 1e6;
      text += line(size, time);
      if (i + 1 == sizes && scale_of_last > 1.0) {
        text += line(size, time * scale_of_last);
      }
    }
    write_file(path, text);
  }
  ~SyntheticLog() { std::filesystem::remove(path); }
  SyntheticLog(const SyntheticLog&) = delete;
  SyntheticLog& operator=(const SyntheticLog&) = delete;

  std::filesystem::path path =
      std::filesystem::temp_directory_path() / fmt::format("trainyard_collectives_{}.log", ::getpid());

 private:
  static CollectiveMeasurement row(double size) {
    return {.cluster = "dgx-a100", .op = CollectiveOp::kAllReduce, .ranks = 8, .nodes = 1, .size = {size}};
  }
  static std::string line(double size, double time) {
    return fmt::format("{:.0f} {:.0f} float sum -1 {:.4f} 0 0 0\n", size, size / 4.0, time);
  }
};

Json calibrate(const SyntheticLog& log, const char* cluster = "dgx-a100") {
  return calibrate_collectives({.files = {log.path}, .cluster = cluster});
}

}  // namespace

TEST_CASE("a fit to synthetic times finds the model behind them on sizes it has not seen, and repeats bit for bit") {
  const SyntheticLog log(18);
  const Json profile = calibrate(log);
  CHECK(profile.at("fit").at("inputs").at(0).at("rows") == 18);
  for (const Json& score : profile.at("fit").at("cross_validated")) {
    CAPTURE(score.dump());
    CHECK(score.at("median_abs_error").get<double>() < 0.05);
  }
  const Json& range = profile.at("fit").at("valid_range").at(0);
  CHECK(range.at("ranks") == 8);
  CHECK(range.at("smallest_bytes") == 1024.0);
  CHECK(range.at("largest_bytes") == 1024.0 * (1 << 17));
  CHECK(calibrate(log).dump() == profile.dump());
  // What was written can be read as a catalogue entry.
  const CollectiveCalibration read = read_calibration("mine", JsonReader(profile, "mine.json"));
  CHECK_FALSE(read.curves.empty());
}

TEST_CASE("too little data is refused, saying how much is needed") {
  CHECK_THROWS_WITH_AS(calibrate(SyntheticLog(6)), doctest::Contains("10 rows or more, 2 for each"), UserError);
}

TEST_CASE("repeats that disagree are refused, naming the configuration") {
  CHECK_THROWS_WITH_AS(calibrate(SyntheticLog(12, 2.0)), doctest::Contains("all_reduce float of 2097152 bytes"),
                       UserError);
  CHECK_NOTHROW(calibrate(SyntheticLog(12, 1.2)));
}

TEST_CASE("ranks that the cluster has no place for are refused") {
  const SyntheticLog log(12);
  CHECK_THROWS_AS(calibrate(log, "juwels-booster"), UserError);  // four GPUs a node
  CHECK_THROWS_AS(calibrate(log, "no-such-cluster"), UserError);
}

TEST_CASE("a log of another GPU is refused, and fitted when the user says so") {
  const SyntheticLog log(12);  // of A100
  CHECK_THROWS_WITH_AS(calibrate(log, "dgx-h100"), doctest::Contains("--any-gpu"), UserError);
  CHECK_NOTHROW(calibrate_collectives({.files = {log.path}, .cluster = "dgx-h100", .gpus = GpuCheck::kAny}));
}

}  // namespace trainyard::test_calibrate_collectives
