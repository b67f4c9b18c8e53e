#pragma once
// What of a program differs from rank to rank and from call to call: how long kernels take on a rank's GPU, and how
// much longer than planned a call lasts. Every draw is a function of the seed and of what it is for.
#include <cstdint>
#include <vector>

#include "sim/base/id.hpp"
#include "sim/base/quantity.hpp"

namespace trainyard {

struct Scenario;

struct Variation {
  std::vector<double> slowness;  // of every rank's GPU: a kernel takes so many times as long; empty: all take as long
  double kernel_jitter = 0.0;    // standard deviation of the logarithm of a kernel's time
  double network_jitter = 0.0;   // likewise of a call
  std::uint64_t seed = 0;

  bool jitters() const { return kernel_jitter > 0.0 || network_jitter > 0.0; }
  bool any() const { return jitters() || !slowness.empty(); }
  double slowness_of(RankId rank) const { return slowness.empty() ? 1.0 : slowness[rank.index()]; }
};

// Draws the speed of every GPU. A GPU of speed v, truncated normal around 1, takes 1/v as long; slow nodes and
// stragglers multiply that.
Variation variation_of(const Scenario& scenario);

// The time of a run of kernels on a rank, as a multiple of what the cost model says: the GPU's slowness times the mean
// of what the kernels draw. With log-normal factors of mean 1 and deviation s of the logarithm, the mean over n kernels
// of equal length has mean 1 and variance (exp(s^2) - 1) / n; it is drawn from the log-normal distribution of that mean
// and variance (Fenton, "The sum of log-normal probability distributions", 1960). `equal_kernels` is n.
double kernel_slowness(const Variation& variation, RankId rank, std::size_t operation, double equal_kernels);

// The time of the n-th call of a group as a multiple of what was planned. Groups of a communication have no rank in
// common, so the first member names the group.
double call_slowness(const Variation& variation, std::int32_t communication, RankId first_member, std::int64_t call);

}  // namespace trainyard
