#pragma once
// How GPUs and calls differ from what the catalogues say of all: "variation" of a scenario. Nothing varies by default.
#include <cstdint>
#include <optional>
#include <vector>

namespace trainyard {

// GPUs that are known to be slow: their kernels take `slowdown` times as long.
struct Straggler {
  std::vector<std::int64_t> ranks;  // in ascending order; of the whole node where that was named
  std::optional<std::int64_t> node;
  double slowdown = 1.0;
};

// Typical values: kernel_jitter 0.01 to 0.02, gpu_spread 0.015, slow_nodes of probability 0.005 that are 1.05 to 1.3
// times as slow, network_jitter 0.05 to 0.1.
struct VariationOptions {
  double kernel_jitter = 0.0;   // standard deviation of the logarithm of a kernel's time; its mean stays
  double gpu_spread = 0.0;      // standard deviation of a GPU's speed as a share of the mean
  double network_jitter = 0.0;  // as kernel_jitter, of a call of a collective or a message
  double slow_node_probability = 0.0;
  double slow_node_least = 1.05;  // a slow node's slowdown is drawn evenly between these
  double slow_node_most = 1.3;
  std::vector<Straggler> stragglers;

  // Whether no two kernels, or calls, need take equally long.
  bool jitters() const { return kernel_jitter > 0.0 || network_jitter > 0.0; }
  bool any() const { return jitters() || gpu_spread > 0.0 || slow_node_probability > 0.0 || !stragglers.empty(); }
};

// Spreads are cut off at so many standard deviations: no GPU stands still.
inline constexpr double kMostDeviations = 3.0;

}  // namespace trainyard
