#pragma once
// Device times by CUDA events, many calls in one CUDA graph so that the host's launches do not show.
#include <cuda_runtime.h>

#include <functional>
#include <vector>

#include "validation/microbench/cuda/machine.cuh"

namespace trainyard::microbench {

// Enqueues call number `call` on the stream; must be capturable.
using Enqueue = std::function<void(cudaStream_t stream, int call)>;

// A captured batch of calls.
class Batch {
 public:
  Batch(cudaStream_t stream, int calls, const Enqueue& enqueue);
  ~Batch();
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  void launch() const;
  // Seconds for each call of one replay, by events around it.
  double time() const;

 private:
  cudaStream_t stream_;
  int calls_;
  cudaGraphExec_t graph_ = nullptr;
  cudaEvent_t begin_ = nullptr;
  cudaEvent_t end_ = nullptr;
};

// How often to enqueue so that a batch of calls lasts some milliseconds, from the time of a first call.
int calls_for_batch(cudaStream_t stream, const Enqueue& enqueue, double batch_seconds = 2e-3, int most = 1000);

// Burst: seconds for each call in `repeats` replays with a pause before each, so that the clock does not sag.
std::vector<double> burst_times(cudaStream_t stream, int calls, const Enqueue& enqueue, int repeats = 10);

struct Sustained {
  std::vector<double> seconds;  // of each call, replay by replay, second half of the run only
  double sm_clock_hz = 0.0;     // mean over the second half
  double power_w = 0.0;
};
// Replays the batch without pause for so many seconds.
Sustained sustained_times(cudaStream_t stream, int calls, const Enqueue& enqueue, double seconds,
                          const DeviceMonitor& monitor);

}  // namespace trainyard::microbench
