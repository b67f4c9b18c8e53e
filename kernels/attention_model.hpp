#pragma once
// Fused (flash) attention on one GPU.
#include <span>

#include "kernels/gpu.hpp"
#include "kernels/parameters.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

// What one fused kernel reaches on one GPU in one direction with one family of operand formats.
struct AttentionParameters {
  Seconds fixed_time{};            // start and end of the kernel on the device
  double tensor_efficiency = 0.0;  // of the peak rate, at great head_dim and sequence length
  double softmax_depth = 0.0;      // exponentials of a score cost as much time as this many more columns of head_dim
  double fill_rows = 0.0;          // rows of keys whose time a tile of queries loses to starting and ending
  double tail_share = 0.0;         // share of the longest tile's time that the last SM to finish adds
  double memory_efficiency = 0.0;  // of the nominal memory bandwidth
  double kv_passes = 0.0;          // times that keys and values cross the memory bus
};

std::span<const ParameterField<AttentionParameters>> attention_parameter_fields();

// Device time of the kernel of one direction. Zero when there is nothing to attend to.
// `clock_ratio` as for gemm_time.
Seconds attention_time(const Attention& work, const GpuSpec& gpu, const AttentionParameters& parameters,
                       double clock_ratio, const GpuShare& share = {});

}  // namespace trainyard
