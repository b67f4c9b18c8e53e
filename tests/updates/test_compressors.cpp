#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "kernels/gpu.hpp"
#include "sim/base/error.hpp"
#include "sim/updates/compressors/table.hpp"

using namespace trainyard;

namespace test_compressors {

namespace {

using doctest::Approx;

Values sent(const Compression& compression, Values values, const Draw& drawn = Draw(0)) {
  const MatrixShape vector{.rows = 1, .columns = static_cast<std::int64_t>(values.size())};
  Values kept;
  compressor_traits(compression.compressor).send(compression, {&vector, 1}, {.drawn = drawn, .kept = &kept}, values);
  return values;
}

Values random_values() {
  Values out(*rc::gen::inRange<std::size_t>(1, 40));
  for (double& value : out) {
    value = *rc::gen::inRange(-1000, 1000) / 64.0;
  }
  return out;
}

// Of 1,000,000 values in one square matrix.
double bytes_of(const Compression& compression) {
  const MatrixShape matrix = square_matrix(1e6);
  return compressor_traits(compression.compressor).bytes(compression, {&matrix, 1}).value;
}

// The mean of many messages is the values, within five standard deviations of it: `spread` is the largest of one value.
void check_unbiased(const Compression& compression, const Values& values, double spread) {
  constexpr int kMessages = 20000;
  Values mean(values.size());
  for (int message = 0; message < kMessages; ++message) {
    const Values one = sent(compression, values, Draw(7).of(static_cast<std::uint64_t>(message)));
    for (std::size_t i = 0; i < mean.size(); ++i) {
      mean[i] += one[i] / kMessages;
    }
  }
  for (std::size_t i = 0; i < mean.size(); ++i) {
    CHECK(std::abs(mean[i] - values[i]) <= 5.0 * spread / std::sqrt(kMessages));
  }
}

}  // namespace

TEST_CASE("messages have the bytes of their papers") {
  CHECK(bytes_of({.compressor = Compressor::kNone}) == 4e6);
  CHECK(bytes_of({.compressor = Compressor::kFp16}) == 2e6);
  CHECK(bytes_of({.compressor = Compressor::kBf16}) == 2e6);
  // Values with their places; values alone.
  CHECK(bytes_of({.compressor = Compressor::kTopK, .kept = 0.01}) == Approx(8e4));
  CHECK(bytes_of({.compressor = Compressor::kThreshold, .kept = 0.01}) == Approx(8e4));
  CHECK(bytes_of({.compressor = Compressor::kRandomK, .kept = 0.01}) == Approx(4e4));
  // Four bits, and a norm for every 512: 1,954 buckets.
  CHECK(bytes_of({.compressor = Compressor::kQsgd, .bits = 4, .bucket = 512}) == Approx(5e5 + 4 * 1954));
  CHECK(bytes_of({.compressor = Compressor::kTernGrad}) == Approx(2.5e5 + 4));
  // Two factors of 1,000 x 4.
  CHECK(bytes_of({.compressor = Compressor::kPowerSgd, .rank = 4}) == Approx(4.0 * 2 * 4000));
  CHECK(bytes_of({.compressor = Compressor::kOneBitAdam}) == Approx(1.25e5 + 4));
}

TEST_CASE("fp16 and bf16 round to the nearest of their numbers, ties to even") {
  const Compression fp16{.compressor = Compressor::kFp16};
  const Compression bf16{.compressor = Compressor::kBf16};
  // Steps of 2^-10 and of 2^-7 above one.
  CHECK(sent(fp16, {1.0 + 0x1p-11, 1.0 + 3 * 0x1p-11, -1.0 - 0x1p-10}) == Values{1.0, 1.0 + 0x1p-9, -1.0 - 0x1p-10});
  CHECK(sent(bf16, {1.0 + 0x1p-8, 1.0 + 3 * 0x1p-8, 3.1415926}) == Values{1.0, 1.0 + 0x1p-6, 3.140625});
  // Below 2^-14 the step stays 2^-24; beyond 65,504 there is nothing, as bf16 has.
  CHECK(sent(fp16, {0x1p-24, 0x1p-26, 65504.0, 65519.0}) == Values{0x1p-24, 0.0, 65504.0, 65504.0});
  CHECK(std::isinf(sent(fp16, {65520.0})[0]));
  CHECK(sent(bf16, {65536.0, 0.0}) == Values{65536.0, 0.0});
}

TEST_CASE("top-k keeps the largest magnitudes, of equal ones the first") {
  const Compression half{.compressor = Compressor::kTopK, .kept = 0.5};
  CHECK(sent(half, {1.0, -5.0, 3.0, 0.5}) == Values{0.0, -5.0, 3.0, 0.0});
  CHECK(sent(half, {2.0, -2.0, 2.0, -2.0}) == Values{2.0, -2.0, 0.0, 0.0});
  // One at least.
  CHECK(sent({.compressor = Compressor::kTopK, .kept = 1e-6}, {1.0, -5.0}) == Values{0.0, -5.0});
}

TEST_CASE("a threshold keeps what reaches it") {
  CHECK(sent({.compressor = Compressor::kThreshold, .threshold = 2.0}, {1.9, -2.0, 3.0, 0.0}) ==
        Values{0.0, -2.0, 3.0, 0.0});
}

TEST_CASE("what keeps everything changes nothing") {
  CHECK(rc::check([] {
    const Values values = random_values();
    for (const ErrorFeedback feedback : {ErrorFeedback::kAbsent, ErrorFeedback::kPresent}) {
      for (const Compressor compressor : {Compressor::kTopK, Compressor::kRandomK}) {
        RC_ASSERT(sent({.compressor = compressor, .feedback = feedback, .kept = 1.0}, values) == values);
      }
    }
    RC_ASSERT(sent({.compressor = Compressor::kThreshold, .threshold = 0.0}, values) == values);
  }));
}

TEST_CASE("random-k, QSGD and TernGrad are right on average") {
  const Values values = {1.0, -2.0, 0.25, 0.0, 3.0, -0.5};
  // Two of six, scaled by three; a level of 1/7 of the norm of 3.8; the largest magnitude.
  check_unbiased({.compressor = Compressor::kRandomK, .kept = 1.0 / 3.0}, values, 3.0 * 3.0);
  check_unbiased({.compressor = Compressor::kQsgd, .bits = 4}, values, 3.8 / 7.0);
  check_unbiased({.compressor = Compressor::kTernGrad}, values, 3.0);
}

TEST_CASE("QSGD sends levels of its buckets' norms, TernGrad three values of its layer's largest") {
  CHECK(rc::check([] {
    const Values values = random_values();
    const Draw drawn(*rc::gen::arbitrary<std::uint64_t>());
    const std::size_t bucket = 4;
    const Values levels = sent({.compressor = Compressor::kQsgd, .bits = 3, .bucket = 4}, values, drawn);
    double largest = 0.0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      double squares = 0.0;
      for (std::size_t j = i / bucket * bucket; j < std::min(values.size(), (i / bucket + 1) * bucket); ++j) {
        squares += values[j] * values[j];
      }
      // s = 2^2 - 1 = 3; the variance bound of lemma 3.1 holds as every level is next to its value.
      const double level = squares > 0.0 ? levels[i] / std::sqrt(squares) * 3.0 : 0.0;
      RC_ASSERT(std::abs(level - std::round(level)) < 1e-9);
      RC_ASSERT(std::abs(levels[i] - values[i]) <= std::sqrt(squares) / 3.0 + 1e-9);
      largest = std::max(largest, std::abs(values[i]));
    }
    for (const double value : sent({.compressor = Compressor::kTernGrad}, values, drawn)) {
      RC_ASSERT(value == 0.0 || std::abs(value) == largest);
    }
  }));
}

TEST_CASE("signs of 1-bit Adam have the norm of what they stand for") {
  const Values signs = sent({.compressor = Compressor::kOneBitAdam}, {3.0, -4.0, 0.0, 0.0});
  CHECK(signs == Values{2.5, -2.5, 2.5, 2.5});
}

TEST_CASE("PowerSGD is exact for matrices of its rank, leaves vectors whole, and comes close to the best rank") {
  const std::vector<MatrixShape> shapes = {{.rows = 3, .columns = 4}, {.rows = 1, .columns = 2}};
  const Compression one{.compressor = Compressor::kPowerSgd, .rank = 1};
  // An outer product, and a vector.
  Values values;
  for (const double a : {1.0, -2.0, 0.5}) {
    for (const double b : {3.0, 1.0, 0.0, -1.0}) {
      values.push_back(a * b);
    }
  }
  values.insert(values.end(), {7.0, -8.0});
  Values kept;
  Values received = values;
  compressor_traits(Compressor::kPowerSgd).send(one, shapes, {.drawn = Draw(3), .kept = &kept}, received);
  for (std::size_t i = 0; i < values.size(); ++i) {
    CHECK(received[i] == Approx(values[i]));
  }
  // diag(3, 2, 1): power iteration from message to message comes to the best of rank 2, diag(3, 2, 0).
  const std::vector<MatrixShape> square = {{.rows = 3, .columns = 3}};
  const Values diagonal = {3, 0, 0, 0, 2, 0, 0, 0, 1};
  Values warm;
  for (int message = 0; message < 60; ++message) {
    received = diagonal;
    compressor_traits(Compressor::kPowerSgd)
        .send({.compressor = Compressor::kPowerSgd, .rank = 2}, square, {.drawn = Draw(3), .kept = &warm}, received);
  }
  CHECK(received[0] == Approx(3.0));
  CHECK(received[4] == Approx(2.0));
  CHECK(std::abs(received[8]) < 1e-6);
}

TEST_CASE("kernels that compress take what their traffic takes") {
  const std::unique_ptr<KernelCosts> costs = calibrated_kernel_costs(load_gpu("a100-80"));
  const MatrixShape matrix = square_matrix(1e8);
  const auto time_of = [&](const Compression& compression) { return message_times(compression, {&matrix, 1}, *costs); };
  CHECK(time_of({.compressor = Compressor::kNone}).encode == Seconds{});
  // A cast of 100 M values reads 4 and writes 2 bytes of each.
  const Seconds cast = costs->memory_bound({.traffic = {6e8}});
  CHECK(time_of({.compressor = Compressor::kFp16}).encode == cast);
  CHECK(time_of({.compressor = Compressor::kFp16}).decode == cast);
  // Error feedback reads two values and writes one, twice.
  const MessageTimes with = time_of({.compressor = Compressor::kFp16, .feedback = ErrorFeedback::kPresent});
  CHECK((with.encode - cast).value == Approx((2.0 * costs->memory_bound({.traffic = {12e8}})).value));
  // PowerSGD multiplies a matrix twice, of which each product reads it once.
  CHECK(time_of({.compressor = Compressor::kPowerSgd}).encode > 2.0 * costs->memory_bound({.traffic = {4e8}}) * 0.9);
  for (const auto& [name, compressor] : kCompressorNames.rows) {
    CAPTURE(name);
    const MessageTimes times = time_of({.compressor = compressor});
    CHECK(times.encode.value < 0.1);
    CHECK((compressor == Compressor::kNone || times.decode.value > 0.0));
  }
}

TEST_CASE("numbers that make no sense are refused with their flags") {
  const auto flag_of = [](const Compression& compression) -> std::string {
    try {
      check(compression);
    } catch (const UserError& error) {
      return error.fault().file;
    }
    return "nothing";
  };
  CHECK(flag_of({}) == "nothing");
  CHECK(flag_of({.kept = 0.0}) == "--keep");
  CHECK(flag_of({.kept = 1.1}) == "--keep");
  CHECK(flag_of({.threshold = -1.0}) == "--threshold");
  CHECK(flag_of({.bits = 1}) == "--bits");
  CHECK(flag_of({.bucket = 0}) == "--bucket");
  CHECK(flag_of({.rank = 0}) == "--rank");
  CHECK(flag_of({.warm_up = 0}) == "--warm-up");
}

}  // namespace test_compressors
