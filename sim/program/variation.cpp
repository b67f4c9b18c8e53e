#include "sim/program/variation.hpp"

#include <cmath>

#include "sim/base/random.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {
namespace {

// What is drawn under a seed.
enum class Drawn : std::uint64_t { kGpu = 1, kNode, kKernels, kCall };

Draw draw(std::uint64_t seed, Drawn what) {
  return Draw(seed).of(static_cast<std::uint64_t>(what));
}

std::uint64_t key(std::int64_t number) {
  return static_cast<std::uint64_t>(number);
}

void slow_nodes_down(const Scenario& scenario, std::vector<double>& slowness) {
  const VariationOptions& asked = scenario.variation;
  const double range = asked.slow_node_most - asked.slow_node_least;
  std::size_t rank = 0;
  std::int64_t number = 0;
  for (const NodeInUse& node : nodes_in_use(scenario.cluster, static_cast<int>(scenario.gpus))) {
    const Draw drawn = draw(scenario.seed, Drawn::kNode).of(key(number++));
    const bool is_slow = drawn.of(1).uniform() < asked.slow_node_probability;
    const double factor = is_slow ? asked.slow_node_least + range * drawn.of(2).uniform() : 1.0;
    for (int i = 0; i < node.gpus; ++i) {
      slowness[rank++] *= factor;
    }
  }
}

}  // namespace

Variation variation_of(const Scenario& scenario) {
  const VariationOptions& asked = scenario.variation;
  Variation out{.kernel_jitter = asked.kernel_jitter, .network_jitter = asked.network_jitter, .seed = scenario.seed};
  if (asked.gpu_spread <= 0.0 && asked.slow_node_probability <= 0.0 && asked.stragglers.empty()) {
    return out;
  }
  out.slowness.assign(static_cast<std::size_t>(scenario.gpus), 1.0);
  if (asked.gpu_spread > 0.0) {
    const Draw gpus = draw(scenario.seed, Drawn::kGpu);
    for (std::size_t rank = 0; rank < out.slowness.size(); ++rank) {
      out.slowness[rank] = 1.0 / (1.0 + asked.gpu_spread * gpus.of(rank).normal_within(kMostDeviations));
    }
  }
  if (asked.slow_node_probability > 0.0) {
    slow_nodes_down(scenario, out.slowness);
  }
  for (const Straggler& straggler : asked.stragglers) {
    for (const std::int64_t rank : straggler.ranks) {
      out.slowness[static_cast<std::size_t>(rank)] *= straggler.slowdown;
    }
  }
  return out;
}

double kernel_slowness(const Variation& variation, RankId rank, std::size_t operation, double equal_kernels) {
  const double slowness = variation.slowness_of(rank);
  if (variation.kernel_jitter <= 0.0) {
    return slowness;
  }
  const Draw drawn = draw(variation.seed, Drawn::kKernels).of(key(rank.value)).of(operation);
  return slowness * drawn.log_normal(std::expm1(variation.kernel_jitter * variation.kernel_jitter) / equal_kernels);
}

double call_slowness(const Variation& variation, std::int32_t communication, RankId first_member, std::int64_t call) {
  if (variation.network_jitter <= 0.0) {
    return 1.0;
  }
  const Draw drawn =
      draw(variation.seed, Drawn::kCall).of(key(communication)).of(key(first_member.value)).of(key(call));
  return drawn.log_normal(std::expm1(variation.network_jitter * variation.network_jitter));
}

}  // namespace trainyard
