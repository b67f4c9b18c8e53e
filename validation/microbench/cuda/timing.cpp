#include "validation/microbench/cuda/timing.cuh"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <thread>
#include <utility>

#include "validation/microbench/cuda/check.cuh"

namespace trainyard::microbench {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kPause{5};  // between bursts
constexpr double kMostBurstSeconds = 1.0;       // a case's cap
constexpr std::size_t kFewestBursts = 3;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// A stream that captures; the capture ends with the object, also when something throws before finish().
class Capture {
 public:
  explicit Capture(cudaStream_t stream) : stream_(stream) {
    TRAINYARD_CHECK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  }
  ~Capture() {
    if (graph_ == nullptr) {
      cudaStreamEndCapture(stream_, &graph_);
      cudaGetLastError();  // the capture's failure has been told already
    }
    if (graph_ != nullptr) {
      cudaGraphDestroy(graph_);
    }
  }
  Capture(const Capture&) = delete;
  Capture& operator=(const Capture&) = delete;
  cudaGraph_t finish() {
    TRAINYARD_CHECK(cudaStreamEndCapture(stream_, &graph_));
    return graph_;
  }

 private:
  cudaStream_t stream_;
  cudaGraph_t graph_ = nullptr;
};

}  // namespace

CapturedGraph::CapturedGraph(cudaStream_t stream, int calls, const Enqueue& enqueue) {
  enqueue(stream, 0);
  TRAINYARD_CHECK(cudaStreamSynchronize(stream));
  Capture capture(stream);
  for (int call = 0; call < calls; ++call) {
    enqueue(stream, call);
  }
  TRAINYARD_CHECK(cudaGraphInstantiate(&graph_, capture.finish(), 0));
}

CapturedGraph::~CapturedGraph() {
  if (graph_ != nullptr) {
    cudaGraphExecDestroy(graph_);
  }
}

void Batch::launch() const {
  TRAINYARD_CHECK(cudaGraphLaunch(graph_.get(), stream_));
}

double Batch::time() const {
  begin_.record(stream_);
  launch();
  end_.record(stream_);
  end_.wait();
  return seconds_between(begin_, end_) / calls_;
}

int calls_for_batch(cudaStream_t stream, const Enqueue& enqueue, double batch_seconds, int most) {
  constexpr int kFewest = 3;
  const Batch probe(stream, kFewest, enqueue);
  probe.launch();  // first launches load code
  const double once = std::max(probe.time(), 1e-7);
  return std::clamp(static_cast<int>(std::ceil(batch_seconds / once)), kFewest, most);
}

Timing burst_times(cudaStream_t stream, int calls, const Enqueue& enqueue, const DeviceMonitor& monitor, int repeats) {
  const Batch batch(stream, calls, enqueue);
  batch.time();
  Timing out;
  const DeviceSampler sampler(monitor);
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < repeats; ++i) {
    if (out.seconds.size() >= kFewestBursts && seconds_since(start) > kMostBurstSeconds) {
      break;
    }
    std::this_thread::sleep_for(kPause);
    out.seconds.push_back(batch.time());
  }
  out.device = sampler.summary();
  return out;
}

Timing sustained_times(cudaStream_t stream, int calls, const Enqueue& enqueue, double seconds,
                       const DeviceMonitor& monitor) {
  const Batch batch(stream, calls, enqueue);
  Timing out;
  const DeviceSampler sampler(monitor);
  const Clock::time_point start = Clock::now();
  for (double passed = 0.0; passed < seconds || out.seconds.empty(); passed = seconds_since(start)) {
    const double time = batch.time();
    if (passed >= seconds / 2.0) {
      out.seconds.push_back(time);
    }
  }
  out.device = sampler.summary(seconds / 2.0);
  return out;
}

}  // namespace trainyard::microbench
