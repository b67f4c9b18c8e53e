#include <fmt/format.h>

#include <algorithm>
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

constexpr double kRounding = 3e-3;  // of the parameter's 16-bit copy
constexpr int kCollidingRows = 37;  // few enough that every one is added to more than once in a check
constexpr int kFewestTableRows = 1000;

int rows_for(double bytes, double per_element) {
  return std::max(1, static_cast<int>(bytes / (per_element * kWidth)));
}

// Rows of the table: as many as are looked up, so that a check is small and a timing is as wide as a vocabulary.
int table_rows(int count, int copies) {
  return static_cast<int>(std::clamp<std::int64_t>(std::int64_t{count} * copies, kFewestTableRows, kTableRows));
}

// Word numbers in no order. Every one is different until the table is used up, so that sums of the scatter do not
// pile up on one row.
std::vector<int> word_numbers(int count, int rows) {
  std::vector<int> out;
  for (int i = 0; i < count; ++i) {
    out.push_back(static_cast<int>((static_cast<std::int64_t>(i) * 7919) % rows));
  }
  return out;
}

KernelRun make_gather(double bytes, int copies) {
  const int count = rows_for(bytes, 4.0);
  const int rows = table_rows(count, copies);
  const auto table = std::make_shared<Tensors<Bf16>>(static_cast<std::size_t>(rows) * kWidth, 1, 1);
  const auto words = std::make_shared<Indices>(word_numbers(count * copies, rows), copies);
  const auto y = std::make_shared<Tensors<Bf16>>(static_cast<std::size_t>(count) * kWidth, copies);
  const std::function<void(cudaStream_t, int)> launch = [table, words, y, count](cudaStream_t s, int copy) {
    gather_rows(table->at(0), words->at(copy), y->at(copy), count, kWidth, s);
  };
  return {.traffic_bytes = 4.0 * count * kWidth,
          .shape = fmt::format("{} x {}", count, kWidth),
          .launch = launch,
          .error = [table, words, y, launch] {
            y->poison();
            launch(nullptr, 0);
            TRAINYARD_CHECK(cudaDeviceSynchronize());
            return reference::relative_error(
                y->to_host(), reference::gather_rows(table->to_host(), words->to_host(), kWidth), kWidth);
          }};
}

KernelRun make_scatter(double bytes, int copies) {
  const int count = rows_for(bytes, 10.0);
  const int rows = table_rows(count, copies);
  const auto table = std::make_shared<Tensors<float>>(static_cast<std::size_t>(rows) * kWidth, 1, 1);
  const auto words = std::make_shared<Indices>(word_numbers(count * copies, rows), copies);
  const auto added = std::make_shared<Tensors<Bf16>>(static_cast<std::size_t>(count) * kWidth, copies, 2);
  return {.traffic_bytes = 10.0 * count * kWidth,
          .shape = fmt::format("{} x {}", count, kWidth),
          .launch = [table, words, added, count](
                        cudaStream_t s,
                        int copy) { scatter_add(added->at(copy), words->at(copy), table->at(0), count, kWidth, s); },
          // Once to rows of their own, once with rows that meet.
          .error =
              [table, words, added, count] {
                double worst = 0.0;
                const Indices colliding(word_numbers(count, kCollidingRows), 1);
                for (const Indices* chosen : {static_cast<const Indices*>(words.get()), &colliding}) {
                  table->refill();
                  const std::vector<double> before = table->to_host();
                  scatter_add(added->at(0), chosen->at(0), table->at(0), count, kWidth, nullptr);
                  TRAINYARD_CHECK(cudaDeviceSynchronize());
                  worst = std::max(
                      worst, reference::relative_error(
                                 table->to_host(),
                                 reference::scatter_add(before, chosen->to_host(), added->to_host(), kWidth), kWidth));
                }
                return worst;
              }};
}

struct AdamOperands {
  AdamOperands(std::size_t count, int copies)
      : parameter(count, copies, 1),
        first(count, copies, 2),
        second(count, copies, 3, Range::kPositive),
        gradient(count, copies, 4),
        copied(count, copies) {}
  Tensors<float> parameter;
  Tensors<float> first;
  Tensors<float> second;
  Tensors<float> gradient;
  Tensors<Bf16> copied;
};

AdamArguments arguments_of(const AdamOperands& a, const reference::AdamOptions& options, int copy) {
  return {.parameter = a.parameter.at(copy),
          .first = a.first.at(copy),
          .second = a.second.at(copy),
          .gradient = a.gradient.at(copy),
          .copy = a.copied.at(copy),
          .count = a.parameter.count(),
          .rate = static_cast<float>(options.rate),
          .beta1 = static_cast<float>(options.beta1),
          .beta2 = static_cast<float>(options.beta2),
          .epsilon = static_cast<float>(options.epsilon),
          .decay = static_cast<float>(options.decay),
          .correction1 = static_cast<float>(1.0 - std::pow(options.beta1, options.step)),
          .correction2 = static_cast<float>(1.0 - std::pow(options.beta2, options.step))};
}

KernelRun make_adam(double bytes, int copies) {
  constexpr double kPerParameter = 30.0;
  const std::size_t count = std::max<std::size_t>(1, static_cast<std::size_t>(bytes / kPerParameter / 4.0)) * 4;
  const auto a = std::make_shared<AdamOperands>(count, copies);
  const reference::AdamOptions options{.step = 10};
  return {
      .traffic_bytes = kPerParameter * static_cast<double>(count),
      .shape = fmt::format("{} parameters", count),
      .launch = [a, options](cudaStream_t s, int copy) { adam(arguments_of(*a, options, copy), s); },
      .error =
          [a, options] {
            a->parameter.refill();
            a->first.refill();
            a->second.refill();
            a->copied.poison();
            const reference::AdamState after = reference::adam(
                {a->parameter.to_host(), a->first.to_host(), a->second.to_host()}, a->gradient.to_host(), options);
            adam(arguments_of(*a, options, 0), nullptr);
            TRAINYARD_CHECK(cudaDeviceSynchronize());
            const auto error = [](const auto& result, const std::vector<double>& expected) {
              return reference::relative_error(result.to_host(), expected, kWidth);
            };
            // The 16-bit copy is held to its own tolerance.
            return std::max({error(a->parameter, after.parameter), error(a->first, after.first),
                             error(a->second, after.second), error(a->copied, after.parameter) * (kExact / kRounding)});
          }};
}

KernelRun make_gradient_norm(double bytes, int copies) {
  const std::size_t count = std::max<std::size_t>(1, static_cast<std::size_t>(bytes / 16.0)) * 4;
  const auto x = std::make_shared<Tensors<float>>(count, copies, 1);
  const auto partial = std::make_shared<Tensors<float>>(static_cast<std::size_t>(kNormBlocks), 1);
  const auto norm = std::make_shared<Tensors<float>>(std::size_t{1}, 1);
  const std::function<void(cudaStream_t, int)> launch = [x, partial, norm, count](cudaStream_t s, int copy) {
    gradient_norm(x->at(copy), partial->at(0), norm->at(0), count, s);
  };
  return {.traffic_bytes = 4.0 * static_cast<double>(count),
          .shape = fmt::format("{} gradients", count),
          .launch = launch,
          .error = [x, partial, norm, launch] {
            partial->poison();
            norm->poison();
            launch(nullptr, 0);
            TRAINYARD_CHECK(cudaDeviceSynchronize());
            return reference::relative_error(norm->to_host(), std::vector<double>{reference::norm(x->to_host())}, 1);
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
