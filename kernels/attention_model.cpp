#include "kernels/attention_model.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace trainyard {
namespace {

// Rows of queries that one thread block owns. Source: Dao, "FlashAttention-2" (arXiv 2307.08691), section 3.3: 64 or
// 128; 128 fitted the published prefill tables of A100, H100 and B200 best.
constexpr double kQueryTile = 128.0;

// Backward over forward arithmetic. Source: FlashAttention's benchmark convention; five products instead of two.
constexpr double kBackwardWork = 2.5;

constexpr std::array<ParameterField<AttentionParameters>, 7> kAttentionFields = {{
    {"fixed_time", nullptr, &AttentionParameters::fixed_time, 0.5e-6, 60e-6, 6e-6},
    {"tensor_efficiency", &AttentionParameters::tensor_efficiency, nullptr, 0.02, 1.0, 0.7},
    {"softmax_depth", &AttentionParameters::softmax_depth, nullptr, 0.0, 400.0, 30.0},
    {"fill_rows", &AttentionParameters::fill_rows, nullptr, 0.0, 3000.0, 250.0},
    {"tail_share", &AttentionParameters::tail_share, nullptr, 0.0, 1.0, 0.5},
    {"memory_efficiency", &AttentionParameters::memory_efficiency, nullptr, 0.1, 1.0, 0.7},
    {"kv_passes", &AttentionParameters::kv_passes, nullptr, 1.0, 8.0, 1.0},
}};

}  // namespace

std::span<const ParameterField<AttentionParameters>> attention_parameter_fields() {
  return kAttentionFields;
}

// Tiles of queries are dealt to SMs as these become free, so the kernel ends one part of a tile after the average SM.
// Source: the list-scheduling bound, makespan <= total / machines + (1 - 1/machines) longest; Graham, "Bounds on
// Multiprocessing Timing Anomalies", SIAM J. Appl. Math. 17 (1969), theorem 1.
Seconds attention_time(const Attention& work, const GpuSpec& gpu, const AttentionParameters& parameters,
                       double clock_ratio, const GpuShare& share) {
  if (work.batch <= 0 || work.heads <= 0 || work.seq_q <= 0 || work.seq_kv <= 0 || work.head_dim <= 0) {
    return {};
  }
  const double head_dim = static_cast<double>(work.head_dim);
  const double value_dim = work.values_width();
  const double mean_dim = (head_dim + value_dim) / 2.0;  // of the two products
  const double seq_q = static_cast<double>(work.seq_q);
  const double seq_kv = static_cast<double>(work.seq_kv);
  const double sequences = static_cast<double>(work.batch) * static_cast<double>(work.heads);
  const double multiprocessors = static_cast<double>(gpu.multiprocessors);
  const bool backward = work.direction == Direction::kBackward;

  // Causal: a tile of queries sees half of the keys on average, and the whole of its tile on the diagonal. A window
  // leaves to a tile the keys that any of its queries sees: those of a query and of its tile's other end.
  const bool windowed = work.window > 0 && work.window < work.seq_kv;
  const double edge = work.mask == Mask::kCausal ? kQueryTile / 2.0 * (windowed ? 2.0 : 1.0) : 0.0;
  const double mean_keys = std::min(seq_kv, work.visible_keys() + edge);
  const double most_keys = windowed ? std::min(seq_kv, static_cast<double>(work.window) + kQueryTile) : seq_kv;
  const FlopsPerSecond rate =
      gpu.peak_for(work.precision) * (parameters.tensor_efficiency * clock_ratio / multiprocessors);
  const Flops per_key{4.0 * (backward ? kBackwardWork : 1.0) * kQueryTile * (mean_dim + parameters.softmax_depth)};
  const double tiles_per_multiprocessor =
      std::ceil(seq_q / kQueryTile) * sequences / std::max(1.0, multiprocessors - share.multiprocessors_held);
  const Seconds mean_time = (tiles_per_multiprocessor * (mean_keys + parameters.fill_rows)) * (per_key / rate);
  const Seconds longest_tile = (most_keys + parameters.fill_rows) * (per_key / rate);
  const Seconds compute = mean_time + parameters.tail_share * longest_tile;

  const double kv_share =
      static_cast<double>(std::max<std::int64_t>(work.kv_heads, 1)) / static_cast<double>(work.heads);
  // Forward reads q, k, v and writes o; backward reads those, o and do, and writes dq, dk, dv.
  const double query_tensors = backward ? 4.0 : 2.0;
  const double key_tensors = (backward ? 4.0 : 2.0) * parameters.kv_passes;
  const Bytes traffic = bytes_per_element(work.precision) *
                        (sequences * mean_dim * (query_tensors * seq_q + key_tensors * kv_share * seq_kv));
  const Seconds memory = traffic / (gpu.memory_bandwidth * (parameters.memory_efficiency * share.memory));
  return parameters.fixed_time + Seconds{std::hypot(compute.value, memory.value)};
}

}  // namespace trainyard
