#pragma once
// What the parts of the suite share: their options, the device, the output, the time limit.
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "validation/microbench/cuda/device_array.cuh"
#include "validation/microbench/cuda/machine.cuh"
#include "validation/microbench/cuda/timing.cuh"
#include "validation/microbench/records.hpp"

namespace CLI {
class App;
}

namespace trainyard::microbench {

struct PartOptions {
  std::string out = "-";
  double seconds = 300.0;
  int device = 0;
  bool quick = false;  // only the cases that are worth most
};

// The error is sticky: every later call of this process fails with it, so that no other case can be measured.
class ContextLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Part {
  const PartOptions& options;
  RecordWriter& out;
  DeviceMonitor& monitor;
  TimeLimit limit;
  std::size_t skipped = 0;  // cases that the time limit left
  std::size_t failed = 0;

  // The record with its times and what the driver said meanwhile; `work` over the median time under `rate_key`.
  void write(Json record, const Timing& timing, const char* rate_key = nullptr, double work = 0.0);
  // A check against a reference: `error` is a relative norm. A wrong result counts as a failed case.
  void write_check(const std::string& kind, const std::string& what, double error, double tolerance);
  // Runs the cases in the order given until the time is over. A case that fails is reported and does not end the part,
  // except when the device answers no more (ContextLost).
  void run_in_order(std::size_t count, const std::function<void(std::size_t)>& run);
  // The same in spread order: a part that is stopped has measured a sample of all its cases.
  void run_cases(std::size_t count, const std::function<void(std::size_t)>& run);

 private:
  void run_each(const std::vector<std::size_t>& order, const std::function<void(std::size_t)>& run);
};

// Parses the options, writes the machine record, runs the part and writes a "part" record that says how many cases the
// time limit left and how many failed. Returns the process's exit code: 0, 1 when a case failed or a result was wrong,
// 2 for bad options, 77 where there is no GPU. With --quick `options.quick` is set.
int run_part(int argc, char** argv, const std::string& name, const LibraryVersions& versions,
             const std::function<void(CLI::App&)>& add_options, const std::function<void(Part&)>& run);

}  // namespace trainyard::microbench
