// Fused attention through cuDNN: forward and backward, full and causal, grouped queries, head sizes and lengths.
#include <cudnn_frontend.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cmath>
#include <unordered_map>

#include "sim/base/work.hpp"
#include "validation/microbench/cuda/device_array.cuh"
#include "validation/microbench/cuda/fill.cuh"
#include "validation/microbench/cuda/part.cuh"
#include "validation/microbench/cuda/timing.cuh"

namespace trainyard::microbench {

static void check(cudnnStatus_t status, const char* call) {
  if (status != CUDNN_STATUS_SUCCESS) {
    throw DeviceError(std::string(call) + ": " + cudnnGetErrorString(status));
  }
}

static void check(cudnn_frontend::error_t error, const char* call) {
  if (error.is_bad()) {
    throw DeviceError(std::string(call) + ": " + error.get_message());
  }
}

namespace {

namespace fe = cudnn_frontend;

constexpr std::int64_t kTokens = 32768;  // batch x sequence
constexpr std::array<std::int64_t, 7> kSequences = {512, 1024, 2048, 4096, 8192, 16384, 32768};
constexpr std::array<std::int64_t, 3> kHeadDims = {64, 128, 256};
constexpr std::int64_t kHidden = 4096;  // heads x head size

enum Uid : std::int64_t { kQ = 1, kK, kV, kO, kStats, kOutGradient, kQGradient, kKGradient, kVGradient };

using Tensor = std::shared_ptr<fe::graph::Tensor_attributes>;

// Stored as [batch, sequence, heads, head_dim], as the projections before and after leave it; dimensions are named in
// cuDNN's order [batch, heads, sequence, head_dim].
std::vector<std::int64_t> dims(const Attention& work, std::int64_t heads) {
  return {work.batch, heads, work.seq_q, work.head_dim};
}
std::vector<std::int64_t> strides(const Attention& work, std::int64_t heads) {
  return {work.seq_q * heads * work.head_dim, work.head_dim, heads * work.head_dim, 1};
}

fe::graph::Tensor_attributes attributes(const Attention& work, std::int64_t heads, const char* name, std::int64_t uid) {
  return fe::graph::Tensor_attributes()
      .set_name(name)
      .set_uid(uid)
      .set_dim(dims(work, heads))
      .set_stride(strides(work, heads));
}

fe::graph::Tensor_attributes stats_attributes(const Attention& work) {
  return fe::graph::Tensor_attributes()
      .set_name("stats")
      .set_uid(kStats)
      .set_dim({work.batch, work.heads, work.seq_q, 1})
      .set_stride({work.heads * work.seq_q, work.seq_q, 1, 1})
      .set_data_type(fe::DataType_t::FLOAT);
}

void set_output(const Tensor& tensor, const Attention& work, std::int64_t heads, std::int64_t uid) {
  tensor->set_output(true).set_uid(uid).set_dim(dims(work, heads)).set_stride(strides(work, heads));
}

class AttentionGraph {
 public:
  AttentionGraph(const Attention& work, cudnnHandle_t handle, cudaStream_t stream) : handle_(handle) {
    const auto type = work.precision == Precision::kFp16 ? fe::DataType_t::HALF : fe::DataType_t::BFLOAT16;
    graph_.set_io_data_type(type)
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    const auto q = graph_.tensor(attributes(work, work.heads, "q", kQ));
    const auto k = graph_.tensor(attributes(work, work.kv_heads, "k", kK));
    const auto v = graph_.tensor(attributes(work, work.kv_heads, "v", kV));
    const float scale = 1.0F / std::sqrt(static_cast<float>(work.head_dim));
    if (work.direction == Direction::kForward) {
      auto options = fe::graph::SDPA_attributes().set_name("forward").set_generate_stats(true).set_attn_scale(scale);
      mask(options, work);
      const auto [o, stats] = graph_.sdpa(q, k, v, options);
      set_output(o, work, work.heads, kO);
      stats->set_output(true).set_uid(kStats).set_data_type(fe::DataType_t::FLOAT);
    } else {
      const auto o = graph_.tensor(attributes(work, work.heads, "o", kO));
      const auto out_gradient = graph_.tensor(attributes(work, work.heads, "out_gradient", kOutGradient));
      const auto stats = graph_.tensor(stats_attributes(work));
      auto options = fe::graph::SDPA_backward_attributes().set_name("backward").set_attn_scale(scale);
      mask(options, work);
      const auto [dq, dk, dv] = graph_.sdpa_backward(q, k, v, o, out_gradient, stats, options);
      set_output(dq, work, work.heads, kQGradient);
      set_output(dk, work, work.kv_heads, kKGradient);
      set_output(dv, work, work.kv_heads, kVGradient);
    }
    TRAINYARD_CHECK(graph_.validate());
    TRAINYARD_CHECK(graph_.build_operation_graph(handle_));
    TRAINYARD_CHECK(graph_.create_execution_plans({fe::HeurMode_t::A}));
    TRAINYARD_CHECK(graph_.check_support(handle_));
    TRAINYARD_CHECK(graph_.build_plans(handle_));
    allocate(work, stream);
  }

  void enqueue(cudaStream_t stream) {
    TRAINYARD_CHECK(cudnnSetStream(handle_, stream));
    TRAINYARD_CHECK(graph_.execute(handle_, tensors_, workspace_.data()));
  }

 private:
  template <class Options>
  static void mask(Options& options, const Attention& work) {
    if (work.mask == Mask::kCausal) {
      options.set_diagonal_alignment(fe::DiagonalAlignment_t::TOP_LEFT).set_diagonal_band_right_bound(0);
    }
  }

  void allocate(const Attention& work, cudaStream_t stream) {
    const auto elements = [&](std::int64_t heads) {
      return static_cast<std::size_t>(work.batch * work.seq_q * heads * work.head_dim);
    };
    const ElementType type = work.precision == Precision::kFp16 ? ElementType::kFp16 : ElementType::kBf16;
    const auto add = [&](std::int64_t uid, std::int64_t heads) {
      buffers_.emplace_back(elements(heads) * bytes_of(type));
      fill_uniform(buffers_.back().data(), elements(heads), type, stream);
      tensors_[uid] = buffers_.back().data();
    };
    add(kQ, work.heads);
    add(kK, work.kv_heads);
    add(kV, work.kv_heads);
    add(kO, work.heads);
    // Statistics near those of real scores: exp(score - stats) must not overflow in the backward pass.
    const auto rows = static_cast<std::size_t>(work.batch * work.heads * work.seq_q);
    const std::vector<float> stats(rows, std::log(static_cast<float>(work.seq_kv)) + 1.0F);
    buffers_.emplace_back(rows * sizeof(float));
    TRAINYARD_CHECK(cudaMemcpy(buffers_.back().data(), stats.data(), rows * sizeof(float), cudaMemcpyHostToDevice));
    tensors_[kStats] = buffers_.back().data();
    if (work.direction == Direction::kBackward) {
      add(kOutGradient, work.heads);
      add(kQGradient, work.heads);
      add(kKGradient, work.kv_heads);
      add(kVGradient, work.kv_heads);
    }
    std::int64_t bytes = 0;
    TRAINYARD_CHECK(graph_.get_workspace_size(bytes));
    workspace_ = DeviceArray<unsigned char>(static_cast<std::size_t>(std::max<std::int64_t>(bytes, 16)));
    TRAINYARD_CHECK(cudaStreamSynchronize(stream));
  }

  cudnnHandle_t handle_;
  fe::graph::Graph graph_;
  std::vector<DeviceArray<unsigned char>> buffers_;
  DeviceArray<unsigned char> workspace_;
  std::unordered_map<std::int64_t, void*> tensors_;
};

std::vector<Attention> cases() {
  std::vector<Attention> out;
  for (const std::int64_t head_dim : kHeadDims) {
    const std::int64_t heads = kHidden / head_dim;
    for (const std::int64_t sequence : kSequences) {
      for (const std::int64_t tokens : {sequence, kTokens}) {
        if (sequence == kTokens && tokens == kTokens && out.size() > 0 && out.back().seq_q == sequence) {
          continue;  // one sequence fills the batch: the same case
        }
        for (const std::int64_t kv_heads : {heads, heads / 8}) {
          for (const Mask mask : {Mask::kFull, Mask::kCausal}) {
            for (const Direction direction : {Direction::kForward, Direction::kBackward}) {
              out.push_back({.batch = tokens / sequence,
                             .heads = heads,
                             .kv_heads = kv_heads,
                             .seq_q = sequence,
                             .seq_kv = sequence,
                             .head_dim = head_dim,
                             .mask = mask,
                             .direction = direction});
            }
          }
        }
      }
    }
  }
  return out;
}

void run(Part& part) {
  const Stream stream;
  cudnnHandle_t handle = nullptr;
  TRAINYARD_CHECK(cudnnCreate(&handle));
  const std::vector<Attention> all = cases();
  part.run_cases(all.size(), [&](std::size_t i) {
    const Attention& work = all[i];
    AttentionGraph graph(work, handle, stream.get());
    const Enqueue enqueue = [&](cudaStream_t s, int) { graph.enqueue(s); };
    const std::vector<double> seconds = burst_times(stream.get(), calls_for_batch(stream.get(), enqueue), enqueue);
    Json record = {{"record", "attention"},
                   {"kernel", "cuDNN"},
                   {"dtype", std::string(kPrecisionNames.name_of(work.precision))},
                   {"batch", work.batch},
                   {"seq", work.seq_q},
                   {"heads", work.heads},
                   {"kv_heads", work.kv_heads},
                   {"head_dim", work.head_dim},
                   {"causal", work.mask == Mask::kCausal},
                   {"direction", work.direction == Direction::kForward ? "fwd" : "bwd"},
                   {"time_s", spread_json(seconds)}};
    record["flops_per_s"] = work.flops().value / record["time_s"]["median"].get<double>();
    part.write(std::move(record));
  });
  cudnnDestroy(handle);
}

}  // namespace
}  // namespace trainyard::microbench

int main(int argc, char** argv) {
  using namespace trainyard::microbench;
  return run_part(
      argc, argv, "attention", {.cudnn = fmt::format("{}", cudnnGetVersion())}, [](CLI::App&) {}, run);
}
