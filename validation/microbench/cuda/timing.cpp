#include "validation/microbench/cuda/timing.cuh"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>

#include "validation/microbench/cuda/check.cuh"

namespace trainyard::microbench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{5};  // between bursts

}  // namespace

Batch::Batch(cudaStream_t stream, int calls, const Enqueue& enqueue) : stream_(stream), calls_(calls) {
  TRAINYARD_CHECK(cudaEventCreate(&begin_));
  TRAINYARD_CHECK(cudaEventCreate(&end_));
  TRAINYARD_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  for (int call = 0; call < calls; ++call) {
    enqueue(stream, call);
  }
  cudaGraph_t graph = nullptr;
  TRAINYARD_CHECK(cudaStreamEndCapture(stream, &graph));
  TRAINYARD_CHECK(cudaGraphInstantiate(&graph_, graph, 0));
  TRAINYARD_CHECK(cudaGraphDestroy(graph));
}

Batch::~Batch() {
  cudaGraphExecDestroy(graph_);
  cudaEventDestroy(begin_);
  cudaEventDestroy(end_);
}

void Batch::launch() const {
  TRAINYARD_CHECK(cudaGraphLaunch(graph_, stream_));
}

double Batch::time() const {
  TRAINYARD_CHECK(cudaEventRecord(begin_, stream_));
  launch();
  TRAINYARD_CHECK(cudaEventRecord(end_, stream_));
  TRAINYARD_CHECK(cudaEventSynchronize(end_));
  float milliseconds = 0.0F;
  TRAINYARD_CHECK(cudaEventElapsedTime(&milliseconds, begin_, end_));
  return static_cast<double>(milliseconds) * 1e-3 / calls_;
}

int calls_for_batch(cudaStream_t stream, const Enqueue& enqueue, double batch_seconds, int most) {
  constexpr int kFewest = 3;
  const Batch probe(stream, kFewest, enqueue);
  probe.launch();  // first launches load code
  const double once = std::max(probe.time(), 1e-7);
  return std::clamp(static_cast<int>(std::ceil(batch_seconds / once)), kFewest, most);
}

std::vector<double> burst_times(cudaStream_t stream, int calls, const Enqueue& enqueue, int repeats) {
  const Batch batch(stream, calls, enqueue);
  batch.time();
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    std::this_thread::sleep_for(kPause);
    seconds.push_back(batch.time());
  }
  return seconds;
}

Sustained sustained_times(cudaStream_t stream, int calls, const Enqueue& enqueue, double seconds,
                          const DeviceMonitor& monitor) {
  const Batch batch(stream, calls, enqueue);
  Sustained out;
  std::vector<double> clocks;
  std::vector<double> watts;
  const Clock::time_point start = Clock::now();
  for (double passed = 0.0; passed < seconds || out.seconds.empty();
       passed = std::chrono::duration<double>(Clock::now() - start).count()) {
    const double time = batch.time();
    if (passed >= seconds / 2.0) {
      out.seconds.push_back(time);
      const DeviceState now = monitor.sample();
      clocks.push_back(now.sm_clock_hz);
      watts.push_back(now.power_w);
    }
  }
  const auto mean = [](const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  };
  out.sm_clock_hz = mean(clocks);
  out.power_w = mean(watts);
  return out;
}

}  // namespace trainyard::microbench
