#include "validation/microbench/cuda/overlap_load.cuh"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>

#include "validation/microbench/cuda/lt_gemm.cuh"

namespace trainyard::microbench {
namespace {

constexpr double kTimedSeconds = 0.05;
constexpr double kCover = 3.0;  // how much longer the other load runs than the timed one should
constexpr int kRepeats = 5;
constexpr int kCallsInBatch = 4;
constexpr std::chrono::milliseconds kRest{100};

// Seconds for each unit.
double time_units(const Load& load, int units) {
  const Event begin;
  const Event end;
  begin.record(load.stream);
  for (int i = 0; i < units; ++i) {
    load.enqueue();
  }
  end.record(load.stream);
  end.wait();
  return seconds_between(begin, end) / units;
}

int units_for(double seconds, double unit) {
  return std::max(1, static_cast<int>(std::ceil(seconds / unit)));
}

struct Beside {
  std::vector<double> seconds;
  bool covered = true;  // the other load ran to the end of every timing
};

Beside time_beside(const Load& timed, double timed_unit, const Load& other, double other_unit) {
  Beside out;
  // One unit to begin with, and those that are timed.
  const double needed = kCover * (timed_unit + std::max(kTimedSeconds, timed_unit));
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    const Event other_end;
    std::this_thread::sleep_for(kRest);
    for (int i = 0; i < units_for(needed, other_unit); ++i) {
      other.enqueue();
    }
    other_end.record(other.stream);
    time_units(timed, 1);  // the first meets the other's beginning
    out.seconds.push_back(time_units(timed, units_for(kTimedSeconds, timed_unit)));
    const cudaError_t state = cudaEventQuery(other_end.get());
    if (state != cudaSuccess && state != cudaErrorNotReady) {
      check(state, "cudaEventQuery");
    }
    out.covered = out.covered && state == cudaErrorNotReady;
    TRAINYARD_CHECK(cudaDeviceSynchronize());
  }
  return out;
}

// As beside the other load: from a rested GPU, one unit to begin with and then those that are timed. Without the rest
// the clock would be lower than beside a load that draws little power.
std::vector<double> time_alone(const Load& load) {
  const double unit = time_units(load, 2);
  std::vector<double> seconds;
  for (int i = 0; i < kRepeats; ++i) {
    std::this_thread::sleep_for(kRest);
    time_units(load, 1);
    seconds.push_back(time_units(load, units_for(kTimedSeconds, unit)));
  }
  return seconds;
}

}  // namespace

GraphLoad::GraphLoad(std::string name, const Enqueue& enqueue, double unit_work)
    : batch(stream.get(), kCallsInBatch, enqueue),
      load{std::move(name), stream.get(), [this] { batch.launch(); }, unit_work * kCallsInBatch} {}

void measure_overlap(Part& part, const Load& first, const Load& second, const Json& extra) {
  const DeviceSampler sampler(part.monitor);
  const Json first_alone = spread_json(time_alone(first));
  const Json second_alone = spread_json(time_alone(second));
  const double first_unit = first_alone["median"].get<double>();
  const double second_unit = second_alone["median"].get<double>();
  const Beside first_beside = time_beside(first, first_unit, second, second_unit);
  const Beside second_beside = time_beside(second, second_unit, first, first_unit);
  const Json first_time = spread_json(first_beside.seconds);
  const Json second_time = spread_json(second_beside.seconds);
  Json record = {{"record", "overlap"},
                 {"first", first.name},
                 {"second", second.name},
                 {"first_alone_s", first_alone},
                 {"first_beside_s", first_time},
                 {"first_slowdown", first_time["median"].get<double>() / first_unit},
                 {"second_alone_s", second_alone},
                 {"second_beside_s", second_time},
                 {"second_slowdown", second_time["median"].get<double>() / second_unit},
                 {"covered", first_beside.covered && second_beside.covered}};
  record.update(sampler.summary());
  if (second.unit_work > 0.0) {
    record["second_alone_bytes_per_s"] = second.unit_work / second_unit;
    record["second_beside_bytes_per_s"] = second.unit_work / second_time["median"].get<double>();
  }
  record.update(extra);
  part.out.write(record);
}

struct GemmLoads::Members {
  std::vector<std::unique_ptr<LtGemm>> gemms;
  std::vector<std::unique_ptr<GraphLoad>> loads;
};

GemmLoads::GemmLoads() : members_(std::make_unique<Members>()) {
  const Stream setup;
  for (const std::int64_t extent : {8192, 4096, 2048}) {
    const LtGemmSpec spec{.work = {.m = extent, .n = extent, .k = extent}};
    members_->gemms.push_back(std::make_unique<LtGemm>(spec, 1, setup.get()));
    const LtGemm* gemm = members_->gemms.back().get();
    members_->loads.push_back(std::make_unique<GraphLoad>(fmt::format("gemm bf16 {}x{}x{}", extent, extent, extent),
                                                          [gemm](cudaStream_t s, int) { gemm->enqueue(0, s); }));
  }
}

GemmLoads::~GemmLoads() = default;

std::size_t GemmLoads::size() const {
  return members_->loads.size();
}

const Load& GemmLoads::operator[](std::size_t index) const {
  return members_->loads.at(index)->load;
}

}  // namespace trainyard::microbench
