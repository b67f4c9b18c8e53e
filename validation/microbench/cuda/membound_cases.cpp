#include "validation/microbench/cuda/membound_cases.cuh"

#include <fmt/format.h>

#include <algorithm>

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
constexpr double kRounding = 3e-3;          // a bfloat16 result plus the arithmetic in fp32 before it
constexpr int kFewestTokens = 256;          // of a loss: a block for each must fill the GPU, as training's do
constexpr std::size_t kLogitsChecked = 64;  // at a time: a row's label would hide the others

int rows_for(double bytes, double bytes_per_row) {
  return std::max(1, static_cast<int>(bytes / bytes_per_row));
}

std::size_t product(int rows, int columns) {
  return static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns);
}

// Captured by every closure, so that the operands live as long as the run.
struct Activations {
  Activations(std::size_t in, std::size_t out, int copies, std::size_t gain = 8)
      : x(in, copies, 1), y(out, copies), gain_values(gain, 1, 2), bias_values(gain, 1, 3) {}
  Tensors<Bf16> x;
  Tensors<Bf16> y;
  Tensors<Bf16> gain_values;
  Tensors<Bf16> bias_values;
};

using Launch = std::function<void(cudaStream_t, int)>;

template <class T>
std::vector<double> result_of(const Tensors<T>& result, const Launch& launch) {
  result.poison();
  launch(nullptr, 0);
  TRAINYARD_CHECK(cudaDeviceSynchronize());
  return result.to_host();
}

// A run whose only result is y, compared in rows of `width`.
template <class Reference>
KernelRun make_run(const std::shared_ptr<Activations>& a, double traffic, std::string shape, std::size_t width,
                   Launch launch, Reference reference) {
  return {
      .traffic_bytes = traffic, .shape = std::move(shape), .launch = launch, .error = [a, width, launch, reference] {
        return reference::relative_error(result_of(a->y, launch), reference(), width);
      }};
}

KernelRun make_layer_norm(double bytes, int copies) {
  const int rows = rows_for(bytes, 2.0 * kBf16 * kHidden);
  const auto a = std::make_shared<Activations>(product(rows, kHidden), product(rows, kHidden), copies, kHidden);
  return make_run(
      a, 2.0 * kBf16 * rows * kHidden, fmt::format("{} x {}", rows, kHidden), kHidden,
      [a, rows](cudaStream_t s, int copy) {
        layer_norm(a->x.at(copy), a->gain_values.at(0), a->bias_values.at(0), a->y.at(copy), rows, kHidden, kEpsilon,
                   s);
      },
      [a] {
        return reference::layer_norm(a->x.to_host(), a->gain_values.to_host(), a->bias_values.to_host(), kEpsilon);
      });
}

KernelRun make_rms_norm(double bytes, int copies) {
  const int rows = rows_for(bytes, 2.0 * kBf16 * kHidden);
  const auto a = std::make_shared<Activations>(product(rows, kHidden), product(rows, kHidden), copies, kHidden);
  return make_run(
      a, 2.0 * kBf16 * rows * kHidden, fmt::format("{} x {}", rows, kHidden), kHidden,
      [a, rows](cudaStream_t s, int copy) {
        rms_norm(a->x.at(copy), a->gain_values.at(0), a->y.at(copy), rows, kHidden, kEpsilon, s);
      },
      [a] { return reference::rms_norm(a->x.to_host(), a->gain_values.to_host(), kEpsilon); });
}

// Whole heads of kColumns rows, so that half of the scores are read.
KernelRun make_softmax(double bytes, int copies) {
  constexpr double kPerRow = 1.5 * kBf16 * kColumns;
  const int heads = std::max(1, static_cast<int>(bytes / (kPerRow * kColumns)));
  const int rows = heads * kColumns;
  const auto a = std::make_shared<Activations>(product(rows, kColumns), product(rows, kColumns), copies);
  return make_run(
      a, kPerRow * rows, fmt::format("{} x {} causal", rows, kColumns), kColumns,
      [a, rows](cudaStream_t s, int copy) { causal_softmax(a->x.at(copy), a->y.at(copy), rows, kColumns, 0.125F, s); },
      [a] { return reference::causal_softmax(a->x.to_host(), kColumns, 0.125); });
}

struct Loss {
  Loss(int rows, int vocabulary, int copies)
      : logits(product(rows, vocabulary), copies, 5),
        labels(labels_of(rows * copies, vocabulary), copies),
        loss(static_cast<std::size_t>(rows), copies),
        log_sum(static_cast<std::size_t>(rows), copies) {}
  static std::vector<int> labels_of(int rows, int vocabulary) {
    std::vector<int> out;
    for (int i = 0; i < rows; ++i) {
      out.push_back(static_cast<int>((static_cast<std::int64_t>(i) * 7919 + 13) % vocabulary));
    }
    return out;
  }
  Tensors<Bf16> logits;
  Indices labels;
  Tensors<float> loss;
  Tensors<float> log_sum;
};

KernelRun make_cross_entropy_forward(double bytes, int copies) {
  const int rows = std::max(kFewestTokens, rows_for(bytes, kBf16 * kVocabulary));
  const auto a = std::make_shared<Loss>(rows, kVocabulary, copies);
  const Launch launch = [a, rows](cudaStream_t s, int copy) {
    cross_entropy_forward(a->logits.at(copy), a->labels.at(copy), a->loss.at(copy), a->log_sum.at(copy), rows,
                          kVocabulary, s);
  };
  return {.traffic_bytes = kBf16 * rows * kVocabulary,
          .shape = fmt::format("{} x {}", rows, kVocabulary),
          .launch = launch,
          .error = [a, launch] {
            return reference::relative_error(
                result_of(a->loss, launch),
                reference::cross_entropy(a->logits.to_host(), a->labels.to_host(), kVocabulary).loss, 1);
          }};
}

KernelRun make_cross_entropy_backward(double bytes, int copies) {
  const int rows = std::max(kFewestTokens, rows_for(bytes, 2.0 * kBf16 * kVocabulary));
  const auto a = std::make_shared<Loss>(rows, kVocabulary, copies);
  const auto gradient = std::make_shared<Tensors<Bf16>>(product(rows, kVocabulary), copies);
  for (int copy = 0; copy < copies; ++copy) {
    cross_entropy_forward(a->logits.at(copy), a->labels.at(copy), a->loss.at(copy), a->log_sum.at(copy), rows,
                          kVocabulary, nullptr);
  }
  TRAINYARD_CHECK(cudaDeviceSynchronize());
  const Launch launch = [a, gradient, rows](cudaStream_t s, int copy) {
    cross_entropy_backward(a->logits.at(copy), a->labels.at(copy), a->log_sum.at(copy), gradient->at(copy), rows,
                           kVocabulary, s);
  };
  return {.traffic_bytes = 2.0 * kBf16 * rows * kVocabulary,
          .shape = fmt::format("{} x {}", rows, kVocabulary),
          .launch = launch,
          .error = [a, gradient, launch] {
            return reference::relative_error(
                result_of(*gradient, launch),
                reference::cross_entropy(a->logits.to_host(), a->labels.to_host(), kVocabulary).gradient,
                kLogitsChecked);
          }};
}

KernelRun make_gelu(double bytes, int copies) {
  const int rows = rows_for(bytes, 2.0 * kBf16 * kHidden);
  const auto a = std::make_shared<Activations>(product(rows, kHidden), product(rows, kHidden), copies);
  return make_run(
      a, 2.0 * kBf16 * rows * kHidden, fmt::format("{} x {}", rows, kHidden), kHidden,
      [a](cudaStream_t s, int copy) { gelu(a->x.at(copy), a->y.at(copy), a->y.count(), s); },
      [a] { return reference::gelu(a->x.to_host()); });
}

KernelRun make_swiglu(double bytes, int copies) {
  const int rows = rows_for(bytes, 3.0 * kBf16 * kFfn);
  const auto a = std::make_shared<Activations>(product(rows, 2 * kFfn), product(rows, kFfn), copies);
  return make_run(
      a, 3.0 * kBf16 * rows * kFfn, fmt::format("{} x {}", rows, kFfn), kFfn,
      [a, rows](cudaStream_t s, int copy) { swiglu(a->x.at(copy), a->y.at(copy), rows, kFfn, s); },
      [a] { return reference::swiglu(a->x.to_host(), kFfn); });
}

KernelRun make_residual_dropout(double bytes, int copies) {
  const int rows = rows_for(bytes, 3.0 * kBf16 * kHidden);
  const std::size_t count = product(rows, kHidden);
  const auto a = std::make_shared<Activations>(count, count, copies);
  const auto residual = std::make_shared<Tensors<Bf16>>(count, copies, 4);
  return make_run(
      a, 3.0 * kBf16 * rows * kHidden, fmt::format("{} x {}", rows, kHidden), kHidden,
      [a, residual, count](cudaStream_t s, int copy) {
        residual_dropout(a->x.at(copy), residual->at(copy), a->y.at(copy), count, kDrop, kSeed, s);
      },
      [a, residual] {
        return reference::residual_dropout(a->x.to_host(), residual->to_host(), static_cast<double>(kDrop), kSeed);
      });
}

KernelRun make_rotary(double bytes, int copies) {
  const double table_bytes = 4.0 * kHeadDim;
  const int positions = rows_for(bytes, 2.0 * kBf16 * kHeads * kHeadDim + table_bytes);
  const std::size_t count = product(positions, kHeads * kHeadDim);
  const auto a = std::make_shared<Activations>(count, count, copies);
  const auto table = std::make_shared<Tensors<float>>(product(positions, kHeadDim), 1);
  rotary_table(table->at(0), positions, kHeadDim, kRotaryBase, nullptr);
  TRAINYARD_CHECK(cudaDeviceSynchronize());
  return make_run(
      a, 2.0 * kBf16 * static_cast<double>(count) + table_bytes * positions,
      fmt::format("{} x {} x {}", positions, kHeads, kHeadDim), kHeadDim,
      [a, table, positions](cudaStream_t s, int copy) {
        rotary(a->x.at(copy), table->at(0), a->y.at(copy), positions, kHeads, kHeadDim, s);
      },
      [a] { return reference::rotary(a->x.to_host(), kHeads, kHeadDim, kRotaryBase); });
}

KernelRun make_permute(double bytes, int copies) {
  const double per_sequence = 2.0 * kBf16 * kSequence * kHeads * kHeadDim;
  const bool whole = bytes >= per_sequence;
  const int batch = whole ? static_cast<int>(bytes / per_sequence) : 1;
  const int sequence = whole ? kSequence : rows_for(bytes, 2.0 * kBf16 * kHeads * kHeadDim);
  const std::size_t count = product(batch * sequence, kHeads * kHeadDim);
  const auto a = std::make_shared<Activations>(count, count, copies);
  return make_run(
      a, 2.0 * kBf16 * static_cast<double>(count), fmt::format("{} x {} x {} x {}", batch, sequence, kHeads, kHeadDim),
      kHeadDim,
      [a, batch, sequence](cudaStream_t s, int copy) {
        permute_heads(a->x.at(copy), a->y.at(copy), batch, sequence, kHeads, kHeadDim, s);
      },
      [a, batch, sequence] {
        return reference::permute_heads(a->x.to_host(), static_cast<std::size_t>(batch),
                                        static_cast<std::size_t>(sequence), kHeads, kHeadDim);
      });
}

KernelRun make_cast(double bytes, int copies) {
  const int rows = rows_for(bytes, 6.0 * kHidden);
  const auto x = std::make_shared<Tensors<float>>(product(rows, kHidden), copies, 1);
  const auto y = std::make_shared<Tensors<Bf16>>(product(rows, kHidden), copies);
  const Launch launch = [x, y](cudaStream_t s, int copy) { cast_down(x->at(copy), y->at(copy), y->count(), s); };
  return {.traffic_bytes = 6.0 * rows * kHidden,
          .shape = fmt::format("{} x {}", rows, kHidden),
          .launch = launch,
          .error = [x, y, launch] { return reference::relative_error(result_of(*y, launch), x->to_host(), kHidden); }};
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
