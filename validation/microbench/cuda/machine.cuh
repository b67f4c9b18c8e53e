#pragma once
// What a measurement was made on: the "machine" record, and how its GPU fares at a moment.
#include <cstdint>
#include <memory>
#include <string>

#include "sim/base/json_reader.hpp"

namespace trainyard::microbench {

struct DeviceState {
  double sm_clock_hz = 0.0;  // zero where the driver does not tell, here and below
  double temperature_c = 0.0;
  double energy_j = 0.0;               // since the driver was loaded
  std::uint64_t throttle_reasons = 0;  // NVML's bits
};

// Asks the driver's management library (NVML), which is loaded at run time: a machine without it measures all the same.
class DeviceMonitor {
 public:
  explicit DeviceMonitor(int device);
  ~DeviceMonitor();
  DeviceMonitor(const DeviceMonitor&) = delete;
  DeviceMonitor& operator=(const DeviceMonitor&) = delete;

  DeviceState sample() const;
  std::string driver_version() const;
  double largest_sm_clock_hz() const;
  double memory_clock_hz() const;
  double power_limit_w() const;

 private:
  struct Library;
  std::unique_ptr<Library> library_;
};

struct LibraryVersions {
  std::string cublaslt;
  std::string cudnn;  // empty: the part does not use it
  std::string nccl;
};

// {"record": "machine", "gpu": ..., "date": ..., ...}; keys are listed in the suite's README.
Json machine_record(int device, const DeviceMonitor& monitor, const LibraryVersions& versions);

}  // namespace trainyard::microbench
