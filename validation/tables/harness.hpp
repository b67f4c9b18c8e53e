#pragma once
// What a published benchmark's figures contain beside the kernel: a harness is one source's way of measuring.
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kernels/calibration.hpp"
#include "kernels/parameters.hpp"

namespace trainyard {

// Fitted per source and precision family, jointly with the GPU's parameters.
struct HarnessParameters {
  Seconds extra_time{};       // launch gaps and helper kernels inside the measured time
  double clock_ratio = 1.0;   // clock during the measurement over the clock during a short burst
  double operand_pass = 0.0;  // bytes moved per element of the left operand before the GEMM: finding scales, casting
};
std::span<const ParameterField<HarnessParameters>> harness_parameter_fields();

// By source and family. A family that is not listed uses the source's half-precision extra time and clock.
using HarnessTable = std::map<std::pair<std::string, PrecisionFamily>, HarnessParameters>;
HarnessParameters harness_for(const HarnessTable& table, const std::string& source, PrecisionFamily family);

// validation/published/kernels/harnesses.json: what is known of each source before any fit.
struct Harness {
  std::string source;  // column source_repo
  std::map<Precision, Precision> runs_as;
  std::map<PrecisionFamily, std::vector<std::string>> free;  // names of the parameters that a fit may turn
  std::string attention_kernel;                              // the fused kernel it measures
  std::string attention_kernel_marker;                       // or: the word in the notes that the kernel's name follows
  std::vector<std::string> unfused;                          // kernels that are no fused attention
  std::map<std::string, std::string> gpu_in_notes;           // word in the notes -> catalogue name
  // Of convolutions on tensor cores: the order of images, and what channels and filters are padded to a multiple of.
  ImageLayout tensor_images = ImageLayout::kNchw;
  std::int64_t tensor_channels = 1;
};
std::map<std::string, Harness> load_harnesses();

}  // namespace trainyard
