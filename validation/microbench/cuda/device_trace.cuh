#pragma once
// What the driver says of clock, energy and throttling while something runs: a thread asks it every 20 ms, because a
// question after the wait finds an idle GPU.
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "sim/base/json_reader.hpp"
#include "validation/microbench/cuda/machine.cuh"

namespace trainyard::microbench {

class DeviceSampler {
 public:
  // Samples until it is destroyed.
  explicit DeviceSampler(const DeviceMonitor& monitor);
  ~DeviceSampler();
  DeviceSampler(const DeviceSampler&) = delete;
  DeviceSampler& operator=(const DeviceSampler&) = delete;

  // Of the samples from `since` seconds after construction on: {"samples", "sm_clock_hz" (mean), "sm_clock_low_hz",
  // "temperature_c" (the highest), "power_w" (by the energy counter, where the window is long enough for it),
  // "throttle_reasons": NVML's bits in hexadecimal, "throttle": {reason: share of samples}}. What the driver does not
  // tell is left out.
  Json summary(double since = 0.0) const;

 private:
  struct Sample {
    double seconds = 0.0;
    DeviceState state;
  };
  void run();

  const DeviceMonitor& monitor_;
  std::chrono::steady_clock::time_point start_;
  mutable std::mutex mutex_;
  std::vector<Sample> samples_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace trainyard::microbench
