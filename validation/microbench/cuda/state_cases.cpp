#include <fmt/format.h>

#include <cmath>

#include "validation/microbench/cuda/kernels.cuh"
#include "validation/microbench/cuda/membound_cases.cuh"
#include "validation/microbench/cuda/operands.cuh"
#include "validation/microbench/reference.hpp"

namespace trainyard::microbench {
namespace {

constexpr int kWidth = 4096;
constexpr int kTableRows = 50304;  // GPT-2's vocabulary, padded
constexpr double kExact = 1e-5;    // fp32 results

// Word numbers in no order. Every one is different until the vocabulary is used up, so that sums of the scatter do not
// pile up on one row.
std::vector<int> word_numbers(int count) {
  std::vector<int> out;
  for (int i = 0; i < count; ++i) {
    out.push_back(static_cast<int>((static_cast<std::int64_t>(i) * 7919) % kTableRows));
  }
  return out;
}

template <class T>
struct Embedding {
  explicit Embedding(int count)
      : table(static_cast<std::size_t>(kTableRows) * kWidth, 1),
        rows(word_numbers(count)),
        activations(static_cast<std::size_t>(count) * kWidth, 2) {}
  Operand<T> table;
  Operand<int> rows;
  Operand<Bf16> activations;
};

int rows_for(double bytes, double per_element) {
  return std::max(1, static_cast<int>(bytes / (per_element * kWidth)));
}

KernelRun make_gather(double bytes) {
  const int count = rows_for(bytes, 4.0);
  const auto e = std::make_shared<Embedding<Bf16>>(count);
  const std::function<void(cudaStream_t)> launch = [e, count](cudaStream_t s) {
    gather_rows(e->table.device.data(), e->rows.device.data(), e->activations.device.data(), count, kWidth, s);
  };
  return {.traffic_bytes = 4.0 * count * kWidth,
          .shape = fmt::format("{} x {}", count, kWidth),
          .launch = launch,
          .error = [e, launch] {
            launch(nullptr);
            TRAINYARD_CHECK(cudaDeviceSynchronize());
            return largest_error(e->activations.device.to_host(),
                                 reference::gather_rows(as_doubles(e->table.host), e->rows.host, kWidth));
          }};
}

KernelRun make_scatter(double bytes) {
  const int count = rows_for(bytes, 10.0);
  const auto e = std::make_shared<Embedding<float>>(count);
  const std::function<void(cudaStream_t)> launch = [e, count](cudaStream_t s) {
    scatter_add(e->activations.device.data(), e->rows.device.data(), e->table.device.data(), count, kWidth, s);
  };
  return {.traffic_bytes = 10.0 * count * kWidth,
          .shape = fmt::format("{} x {}", count, kWidth),
          .launch = launch,
          .error = [e, launch] {
            e->table.reset();
            launch(nullptr);
            TRAINYARD_CHECK(cudaDeviceSynchronize());
            return largest_error(e->table.device.to_host(),
                                 reference::scatter_add(as_doubles(e->table.host), e->rows.host,
                                                        as_doubles(e->activations.host), kWidth));
          }};
}

struct AdamOperands {
  explicit AdamOperands(std::size_t count)
      : parameter(count, 1), first(count, 2), second(squares(count)), gradient(count, 4), copy(count) {}
  static std::vector<float> squares(std::size_t count) {
    std::vector<float> values = uniform_values<float>(count, 3);
    for (float& value : values) {
      value *= value;
    }
    return values;
  }
  Operand<float> parameter;
  Operand<float> first;
  Operand<float> second;
  Operand<float> gradient;
  DeviceArray<Bf16> copy;
};

KernelRun make_adam(double bytes) {
  constexpr double kPerParameter = 30.0;
  const std::size_t count = std::max<std::size_t>(1, static_cast<std::size_t>(bytes / kPerParameter / 4.0)) * 4;
  const auto a = std::make_shared<AdamOperands>(count);
  const reference::AdamOptions options{.step = 10};
  const AdamArguments arguments{.parameter = a->parameter.device.data(),
                                .first = a->first.device.data(),
                                .second = a->second.device.data(),
                                .gradient = a->gradient.device.data(),
                                .copy = a->copy.data(),
                                .count = count,
                                .rate = static_cast<float>(options.rate),
                                .beta1 = static_cast<float>(options.beta1),
                                .beta2 = static_cast<float>(options.beta2),
                                .epsilon = static_cast<float>(options.epsilon),
                                .decay = static_cast<float>(options.decay),
                                .correction1 = static_cast<float>(1.0 - std::pow(options.beta1, options.step)),
                                .correction2 = static_cast<float>(1.0 - std::pow(options.beta2, options.step))};
  return {.traffic_bytes = kPerParameter * static_cast<double>(count),
          .shape = fmt::format("{} parameters", count),
          .launch = [a, arguments](cudaStream_t s) { adam(arguments, s); },
          .error =
              [a, arguments, options] {
                a->parameter.reset();
                a->first.reset();
                a->second.reset();
                adam(arguments, nullptr);
                TRAINYARD_CHECK(cudaDeviceSynchronize());
                const reference::AdamState after = reference::adam(
                    {as_doubles(a->parameter.host), as_doubles(a->first.host), as_doubles(a->second.host)},
                    as_doubles(a->gradient.host), options);
                return std::max({largest_error(a->parameter.device.to_host(), after.parameter),
                                 largest_error(a->first.device.to_host(), after.first),
                                 largest_error(a->second.device.to_host(), after.second)});
              }};
}

KernelRun make_gradient_norm(double bytes) {
  const std::size_t count = std::max<std::size_t>(1, static_cast<std::size_t>(bytes / 16.0)) * 4;
  const auto x = std::make_shared<Operand<float>>(count, 1);
  const auto partial = std::make_shared<DeviceArray<float>>(static_cast<std::size_t>(kNormBlocks));
  const auto norm = std::make_shared<DeviceArray<float>>(std::size_t{1});
  const std::function<void(cudaStream_t)> launch = [x, partial, norm, count](cudaStream_t s) {
    gradient_norm(x->device.data(), partial->data(), norm->data(), count, s);
  };
  return {.traffic_bytes = 4.0 * static_cast<double>(count),
          .shape = fmt::format("{} gradients", count),
          .launch = launch,
          .error = [x, norm, launch] {
            launch(nullptr);
            TRAINYARD_CHECK(cudaDeviceSynchronize());
            return largest_error(norm->to_host(), std::vector<double>{reference::norm(as_doubles(x->host))});
          }};
}

}  // namespace

std::vector<KernelCase> state_cases() {
  return {{"embedding_gather", SweepKind::kElementwise, 0.0, make_gather},
          {"embedding_scatter_add", SweepKind::kElementwise, kExact, make_scatter},
          {"adam", SweepKind::kElementwise, kExact, make_adam},
          {"gradient_norm", SweepKind::kReduction, kExact, make_gradient_norm}};
}

}  // namespace trainyard::microbench
