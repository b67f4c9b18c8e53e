#pragma once
// What running collectives take from the kernels of their GPU, and how a run of kernels advances under a load that
// changes.
#include <algorithm>

#include "sim/program/program.hpp"

namespace trainyard {

// Held by the communications that run on one rank.
struct GpuLoad {
  int multiprocessors = 0;
  double memory_rate = 0.0;  // bytes read and written per second

  bool operator==(const GpuLoad&) const = default;
};

// How much longer a run of kernels would take under the load. Sharing is max-min: a collective takes no more than half
// of the memory bandwidth from kernels that want all of it, and a kernel keeps one SM.
inline double slowdown(const KernelSensitivity& sensitivity, const GpuLoad& load, const SharedGpu& gpu) {
  constexpr double kMostMemory = 0.5;
  double further = 0.0;
  if (load.multiprocessors > 0 && gpu.multiprocessors > 1) {
    const double free = std::max(1, gpu.multiprocessors - load.multiprocessors);
    further += sensitivity.multiprocessors.value * (gpu.multiprocessors / free - 1.0);
  }
  if (load.memory_rate > 0.0 && gpu.memory_bandwidth.value > 0.0) {
    const double taken = std::min(load.memory_rate / gpu.memory_bandwidth.value, kMostMemory);
    further += sensitivity.memory.value * (taken / (1.0 - taken));
  }
  return further;
}

// A run of kernels on its way. Without a load its end is the one computed at its start, to the bit.
class KernelProgress {
 public:
  KernelProgress() = default;
  // `device` is the device's work between start and end; the rest of the span are gaps, which absorb slowness.
  KernelProgress(double start, double end, double device)
      : start_(start), since_(start), alone_(end - start), device_(device), span_(end - start), end_(end) {}

  double end() const { return end_; }
  // Seconds that were lost so far, once the run is over.
  double further() const { return slowed_ ? std::max(0.0, end_ - start_ - alone_) : 0.0; }
  // From `now` on the run would take its device work and `further` seconds altogether.
  void set_slowdown(double now, double further) {
    const double span = std::max(alone_, device_ + further);
    if (span == span_) {
      return;
    }
    const double at = std::max(now, since_);
    if (span_ > 0.0) {
      left_ -= (at - since_) / span_;
    }
    since_ = at;
    slowed_ = true;
    span_ = span;
    end_ = at + std::max(0.0, left_) * span;
  }

 private:
  bool slowed_ = false;
  double start_ = 0.0;
  double since_ = 0.0;  // when the speed last changed
  double left_ = 1.0;   // share of the run that was left then
  double alone_ = 0.0;
  double device_ = 0.0;
  double span_ = 0.0;  // of the whole run at the present speed
  double end_ = 0.0;
};

}  // namespace trainyard
