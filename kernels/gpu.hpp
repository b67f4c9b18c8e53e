#pragma once
// GPU catalogue: one JSON file per GPU in kernels/gpus, every number with its source.
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/quantity.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

// What other work leaves a kernel of the GPU.
struct GpuShare {
  int multiprocessors_held = 0;
  double memory = 1.0;  // of the memory bandwidth
};

struct GpuSpec {
  std::string name;            // catalogue name: a100-80, h100-sxm, ...
  std::string vendor;          // nvidia, amd
  std::string architecture;    // volta, ampere, hopper, blackwell, cdna2, cdna3
  int compute_capability = 0;  // 80, 90, 100; 0 where the notion does not exist
  int multiprocessors = 0;     // SMs or CUs
  Hertz boost_clock{};
  std::map<Precision, FlopsPerSecond> peak;  // dense
  Bytes memory{};                            // usable capacity of one device
  BytesPerSecond memory_bandwidth{};         // HBM, nominal
  Bytes l2_cache{};
  BytesPerSecond scale_up_bandwidth{};  // NVLink / xGMI, all links of the device, per direction; zero when none
  int scale_up_links = 0;
  BytesPerSecond pcie_bandwidth{};  // per direction
  double power_watts = 0.0;
  // Clock under hours of dense training divided by the clock during a short benchmark; 1 when nothing is known.
  double sustained_clock_ratio = 1.0;
  std::string calibration;  // name of the profile in kernels/calibration that prices this GPU's kernels

  // Dense peak for a precision; a precision the GPU has no units for runs at the next wider one it has.
  FlopsPerSecond peak_for(Precision precision) const;
  // Whether it has units for a format, of its own or of a format with the same elements (fp8_block: fp8). Block scales
  // in the operands (mxfp8, nvfp4) came with the units for fp4. Source: NVIDIA Blackwell architecture technical brief;
  // AMD CDNA 4 architecture white paper.
  bool has_format(Precision precision) const;
  std::vector<std::string> formats() const;  // names of those it has
};

// `name` must be a catalogue entry; throws UserError naming file and pointer where the name was given otherwise.
GpuSpec load_gpu(std::string_view name, std::string_view file = "--gpu", std::string_view pointer = "");
std::vector<std::string> gpu_names();

}  // namespace trainyard
