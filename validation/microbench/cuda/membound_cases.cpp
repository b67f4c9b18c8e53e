#include "validation/microbench/cuda/membound_cases.cuh"

#include <fmt/format.h>

#include <cmath>

#include "validation/microbench/cuda/kernels.cuh"
#include "validation/microbench/cuda/operands.cuh"
#include "validation/microbench/reference.hpp"

namespace trainyard::microbench {
namespace {

constexpr double kBf16 = 2.0;
constexpr int kHidden = 4096;
constexpr int kFfn = 14336;         // Llama 3 8B
constexpr int kColumns = 2048;      // keys of a causal softmax
constexpr int kVocabulary = 50304;  // GPT-2's, padded to a multiple of 128
constexpr int kHeads = 32;
constexpr int kHeadDim = 128;
constexpr int kSequence = 2048;
constexpr float kEpsilon = 1e-5F;
constexpr float kDrop = 0.1F;
constexpr std::uint32_t kSeed = 1234;
constexpr double kRotaryBase = 10000.0;
constexpr double kRounding = 6e-3;  // a bfloat16 result plus the arithmetic in fp32 before it

int rows_for(double bytes, double bytes_per_row) {
  return std::max(1, static_cast<int>(bytes / bytes_per_row));
}

std::size_t product(int rows, int columns) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
}

// Captured by every closure, so that the operands live as long as the run.
struct Activations {
  Activations(std::size_t in, std::size_t out, std::size_t gain = 8)
      : x(in, 1), y(out), gain_values(gain, 2), bias_values(gain, 3) {}
  Operand<Bf16> x;
  DeviceArray<Bf16> y;
  Operand<Bf16> gain_values;
  Operand<Bf16> bias_values;
};

void run_once(const std::function<void(cudaStream_t)>& launch) {
  launch(nullptr);
  TRAINYARD_CHECK(cudaDeviceSynchronize());
}

// A run whose only result is y.
template <class Reference>
KernelRun make_run(const std::shared_ptr<Activations>& a, double traffic, std::string shape,
                   std::function<void(cudaStream_t)> launch, Reference reference) {
  return {.traffic_bytes = traffic, .shape = std::move(shape), .launch = launch, .error = [a, launch, reference] {
            run_once(launch);
            return largest_error(a->y.to_host(), reference());
          }};
}

KernelRun make_layer_norm(double bytes) {
  const int rows = rows_for(bytes, 2.0 * kBf16 * kHidden);
  const auto a = std::make_shared<Activations>(product(rows, kHidden), product(rows, kHidden), kHidden);
  return make_run(
      a, 2.0 * kBf16 * rows * kHidden, fmt::format("{} x {}", rows, kHidden),
      [a, rows](cudaStream_t s) {
        layer_norm(a->x.device.data(), a->gain_values.device.data(), a->bias_values.device.data(), a->y.data(), rows,
                   kHidden, kEpsilon, s);
      },
      [a] {
        return reference::layer_norm(as_doubles(a->x.host), as_doubles(a->gain_values.host),
                                     as_doubles(a->bias_values.host), kEpsilon);
      });
}

KernelRun make_rms_norm(double bytes) {
  const int rows = rows_for(bytes, 2.0 * kBf16 * kHidden);
  const auto a = std::make_shared<Activations>(product(rows, kHidden), product(rows, kHidden), kHidden);
  return make_run(
      a, 2.0 * kBf16 * rows * kHidden, fmt::format("{} x {}", rows, kHidden),
      [a, rows](cudaStream_t s) {
        rms_norm(a->x.device.data(), a->gain_values.device.data(), a->y.data(), rows, kHidden, kEpsilon, s);
      },
      [a] { return reference::rms_norm(as_doubles(a->x.host), as_doubles(a->gain_values.host), kEpsilon); });
}

// Whole heads of kColumns rows, so that half of the scores are read.
KernelRun make_softmax(double bytes) {
  constexpr double kPerRow = 1.5 * kBf16 * kColumns;
  const int heads = std::max(1, static_cast<int>(bytes / (kPerRow * kColumns)));
  const int rows = heads * kColumns;
  const auto a = std::make_shared<Activations>(product(rows, kColumns), product(rows, kColumns));
  return make_run(
      a, kPerRow * rows, fmt::format("{} x {} causal", rows, kColumns),
      [a, rows](cudaStream_t s) { causal_softmax(a->x.device.data(), a->y.data(), rows, kColumns, 0.125F, s); },
      [a] { return reference::causal_softmax(as_doubles(a->x.host), kColumns, 0.125); });
}

struct Loss {
  Loss(int rows, int vocabulary)
      : logits(product(rows, vocabulary), 5),
        labels(labels_of(rows, vocabulary)),
        loss(static_cast<std::size_t>(rows)),
        log_sum(static_cast<std::size_t>(rows)) {}
  static std::vector<int> labels_of(int rows, int vocabulary) {
    std::vector<int> out;
    for (int i = 0; i < rows; ++i) {
      out.push_back(static_cast<int>((static_cast<std::int64_t>(i) * 7919 + 13) % vocabulary));
    }
    return out;
  }
  Operand<Bf16> logits;
  Operand<int> labels;
  DeviceArray<float> loss;
  DeviceArray<float> log_sum;
  DeviceArray<Bf16> gradient;
};

KernelRun make_cross_entropy_forward(double bytes) {
  const int rows = rows_for(bytes, kBf16 * kVocabulary);
  const auto a = std::make_shared<Loss>(rows, kVocabulary);
  const std::function<void(cudaStream_t)> launch = [a, rows](cudaStream_t s) {
    cross_entropy_forward(a->logits.device.data(), a->labels.device.data(), a->loss.data(), a->log_sum.data(), rows,
                          kVocabulary, s);
  };
  return {.traffic_bytes = kBf16 * rows * kVocabulary,
          .shape = fmt::format("{} x {}", rows, kVocabulary),
          .launch = launch,
          .error = [a, launch] {
            run_once(launch);
            return largest_error(
                a->loss.to_host(),
                reference::cross_entropy(as_doubles(a->logits.host), a->labels.host, kVocabulary).loss);
          }};
}

KernelRun make_cross_entropy_backward(double bytes) {
  const int rows = rows_for(bytes, 2.0 * kBf16 * kVocabulary);
  const auto a = std::make_shared<Loss>(rows, kVocabulary);
  a->gradient = DeviceArray<Bf16>(product(rows, kVocabulary));
  cross_entropy_forward(a->logits.device.data(), a->labels.device.data(), a->loss.data(), a->log_sum.data(), rows,
                        kVocabulary, nullptr);
  TRAINYARD_CHECK(cudaDeviceSynchronize());
  const std::function<void(cudaStream_t)> launch = [a, rows](cudaStream_t s) {
    cross_entropy_backward(a->logits.device.data(), a->labels.device.data(), a->log_sum.data(), a->gradient.data(),
                           rows, kVocabulary, s);
  };
  return {.traffic_bytes = 2.0 * kBf16 * rows * kVocabulary,
          .shape = fmt::format("{} x {}", rows, kVocabulary),
          .launch = launch,
          .error = [a, launch] {
            run_once(launch);
            return largest_error(
                a->gradient.to_host(),
                reference::cross_entropy(as_doubles(a->logits.host), a->labels.host, kVocabulary).gradient);
          }};
}

KernelRun make_gelu(double bytes) {
  const int rows = rows_for(bytes, 2.0 * kBf16 * kHidden);
  const auto a = std::make_shared<Activations>(product(rows, kHidden), product(rows, kHidden));
  return make_run(
      a, 2.0 * kBf16 * rows * kHidden, fmt::format("{} x {}", rows, kHidden),
      [a](cudaStream_t s) { gelu(a->x.device.data(), a->y.data(), a->y.size(), s); },
      [a] { return reference::gelu(as_doubles(a->x.host)); });
}

KernelRun make_swiglu(double bytes) {
  const int rows = rows_for(bytes, 3.0 * kBf16 * kFfn);
  const auto a = std::make_shared<Activations>(product(rows, 2 * kFfn), product(rows, kFfn));
  return make_run(
      a, 3.0 * kBf16 * rows * kFfn, fmt::format("{} x {}", rows, kFfn),
      [a, rows](cudaStream_t s) { swiglu(a->x.device.data(), a->y.data(), rows, kFfn, s); },
      [a] { return reference::swiglu(as_doubles(a->x.host), kFfn); });
}

KernelRun make_residual_dropout(double bytes) {
  const int rows = rows_for(bytes, 3.0 * kBf16 * kHidden);
  const std::size_t count = product(rows, kHidden);
  const auto a = std::make_shared<Activations>(count, count, count);
  return make_run(
      a, 3.0 * kBf16 * rows * kHidden, fmt::format("{} x {}", rows, kHidden),
      [a, count](cudaStream_t s) {
        residual_dropout(a->x.device.data(), a->gain_values.device.data(), a->y.data(), count, kDrop, kSeed, s);
      },
      [a] {
        return reference::residual_dropout(as_doubles(a->x.host), as_doubles(a->gain_values.host),
                                           static_cast<double>(kDrop), kSeed);
      });
}

KernelRun make_rotary(double bytes) {
  const double table_bytes = 4.0 * kHeadDim;
  const int positions = rows_for(bytes, 2.0 * kBf16 * kHeads * kHeadDim + table_bytes);
  const std::size_t count = product(positions, kHeads * kHeadDim);
  const auto a = std::make_shared<Activations>(count, count);
  std::vector<float> angles;
  for (int p = 0; p < positions; ++p) {
    for (const bool sine : {false, true}) {
      for (int i = 0; i < kHeadDim / 2; ++i) {
        const double angle = p * std::pow(kRotaryBase, -2.0 * i / kHeadDim);
        angles.push_back(static_cast<float>(sine ? std::sin(angle) : std::cos(angle)));
      }
    }
  }
  const auto table = std::make_shared<Operand<float>>(std::move(angles));
  return make_run(
      a, 2.0 * kBf16 * static_cast<double>(count) + table_bytes * positions,
      fmt::format("{} x {} x {}", positions, kHeads, kHeadDim),
      [a, table, positions](cudaStream_t s) {
        rotary(a->x.device.data(), table->device.data(), a->y.data(), positions, kHeads, kHeadDim, s);
      },
      [a] { return reference::rotary(as_doubles(a->x.host), kHeads, kHeadDim, kRotaryBase); });
}

KernelRun make_permute(double bytes) {
  const double per_sequence = 2.0 * kBf16 * kSequence * kHeads * kHeadDim;
  const bool whole = bytes >= per_sequence;
  const int batch = whole ? static_cast<int>(bytes / per_sequence) : 1;
  const int sequence = whole ? kSequence : rows_for(bytes, 2.0 * kBf16 * kHeads * kHeadDim);
  const std::size_t count = product(batch * sequence, kHeads * kHeadDim);
  const auto a = std::make_shared<Activations>(count, count);
  return make_run(
      a, 2.0 * kBf16 * static_cast<double>(count), fmt::format("{} x {} x {} x {}", batch, sequence, kHeads, kHeadDim),
      [a, batch, sequence](cudaStream_t s) {
        permute_heads(a->x.device.data(), a->y.data(), batch, sequence, kHeads, kHeadDim, s);
      },
      [a, batch, sequence] {
        return reference::permute_heads(as_doubles(a->x.host), static_cast<std::size_t>(batch),
                                        static_cast<std::size_t>(sequence), kHeads, kHeadDim);
      });
}

KernelRun make_cast(double bytes) {
  const int rows = rows_for(bytes, 6.0 * kHidden);
  const auto x = std::make_shared<Operand<float>>(product(rows, kHidden), 1);
  const auto y = std::make_shared<DeviceArray<Bf16>>(product(rows, kHidden));
  const std::function<void(cudaStream_t)> launch = [x, y](cudaStream_t s) {
    cast_down(x->device.data(), y->data(), y->size(), s);
  };
  return {.traffic_bytes = 6.0 * rows * kHidden,
          .shape = fmt::format("{} x {}", rows, kHidden),
          .launch = launch,
          .error = [x, y, launch] {
            run_once(launch);
            return largest_error(y->to_host(), as_doubles(x->host));
          }};
}

}  // namespace

std::vector<KernelCase> row_cases() {
  return {{"layer_norm", SweepKind::kReduction, kRounding, make_layer_norm},
          {"rms_norm", SweepKind::kReduction, kRounding, make_rms_norm},
          {"softmax", SweepKind::kReduction, kRounding, make_softmax},
          {"cross_entropy_forward", SweepKind::kReduction, 1e-4, make_cross_entropy_forward},
          {"cross_entropy_backward", SweepKind::kElementwise, kRounding, make_cross_entropy_backward}};
}

std::vector<KernelCase> element_cases() {
  return {{"gelu", SweepKind::kElementwise, kRounding, make_gelu},
          {"swiglu", SweepKind::kElementwise, kRounding, make_swiglu},
          {"residual_dropout", SweepKind::kElementwise, kRounding, make_residual_dropout},
          {"rope", SweepKind::kElementwise, kRounding, make_rotary},
          {"permute", SweepKind::kElementwise, 0.0, make_permute},
          {"cast", SweepKind::kElementwise, kRounding, make_cast}};
}

}  // namespace trainyard::microbench
