#pragma once
// Device times by CUDA events, many calls in one CUDA graph so that the host's launches do not show.
#include <cuda_runtime.h>

#include <functional>
#include <vector>

#include "validation/microbench/cuda/device_array.cuh"
#include "validation/microbench/cuda/device_trace.cuh"

namespace trainyard::microbench {

// Enqueues call number `call` on the stream; must be capturable.
using Enqueue = std::function<void(cudaStream_t stream, int call)>;

// A graph of `calls` calls, ready to launch. One call runs eagerly first, because libraries allocate and load code at
// their first, which a capture does not allow. Whatever throws, the stream is left without a capture.
class CapturedGraph {
 public:
  CapturedGraph(cudaStream_t stream, int calls, const Enqueue& enqueue);
  ~CapturedGraph();
  CapturedGraph(const CapturedGraph&) = delete;
  CapturedGraph& operator=(const CapturedGraph&) = delete;
  cudaGraphExec_t get() const { return graph_; }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

// A captured batch of calls and the events around it.
class Batch {
 public:
  Batch(cudaStream_t stream, int calls, const Enqueue& enqueue)
      : stream_(stream), calls_(calls), graph_(stream, calls, enqueue) {}
  void launch() const;
  // Seconds for each call of one replay, by events around it.
  double time() const;

 private:
  cudaStream_t stream_;
  int calls_;
  CapturedGraph graph_;
  Event begin_;
  Event end_;
};

// Seconds for each call, and what the driver said meanwhile (DeviceSampler::summary).
struct Timing {
  std::vector<double> seconds;
  Json device;
};

// How often to enqueue so that a batch of calls lasts some milliseconds, from the time of a first call.
int calls_for_batch(cudaStream_t stream, const Enqueue& enqueue, double batch_seconds = 2e-3, int most = 1000);

// Burst: `repeats` replays with a pause before each, so that the clock does not sag; at least three, and no more than
// a second of them.
Timing burst_times(cudaStream_t stream, int calls, const Enqueue& enqueue, const DeviceMonitor& monitor,
                   int repeats = 10);

// Replays the batch without pause for so many seconds; times and driver's words are of the second half.
Timing sustained_times(cudaStream_t stream, int calls, const Enqueue& enqueue, double seconds,
                       const DeviceMonitor& monitor);

}  // namespace trainyard::microbench
