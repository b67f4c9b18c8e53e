#pragma once
// What the parts of the suite share: their options, the device, the output, the time limit.
#include <functional>
#include <string>

#include "validation/microbench/cuda/device_array.cuh"
#include "validation/microbench/cuda/machine.cuh"
#include "validation/microbench/records.hpp"

namespace CLI {
class App;
}

namespace trainyard::microbench {

struct PartOptions {
  std::string out = "-";
  double seconds = 300.0;
  int device = 0;
};

struct Part {
  const PartOptions& options;
  RecordWriter& out;
  DeviceMonitor& monitor;
  TimeLimit limit;
  std::size_t skipped = 0;  // cases that the time limit left

  // Clock and power beside the timing.
  void write(Json record) {
    const DeviceState now = monitor.sample();
    record["sm_clock_hz"] = now.sm_clock_hz;
    record["power_w"] = now.power_w;
    out.write(record);
  }
  // Runs the cases in spread order until the time is over. A case that fails is reported and does not end the part.
  void run_cases(std::size_t count, const std::function<void(std::size_t)>& run);
  std::size_t failed = 0;
};

// Parses the options, writes the machine record, runs the part and writes a "part" record that says how many cases the
// time limit left and how many failed. Returns the process's exit code: 0, 1 when a case failed or a result was wrong,
// 2 for bad options, 77 where there is no GPU.
int run_part(int argc, char** argv, const std::string& name, const LibraryVersions& versions,
             const std::function<void(CLI::App&)>& add_options, const std::function<void(Part&)>& run);

}  // namespace trainyard::microbench
