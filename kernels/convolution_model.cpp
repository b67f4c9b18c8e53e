#include "kernels/convolution_model.hpp"

#include <algorithm>

namespace trainyard {
namespace {

// Measured over modelled time, as validation/fit/fit_convolutions.cpp finds it (a test repeats the fit). On tensor
// cores and on the ordinary ones of Hopper: this project's convolutions on an H100 (cuDNN 9.19) of 60 us and more, NHWC
// and fp32; on older ordinary cores: DeepBench's of five GPUs of Maxwell and Pascal, each GPU counted once. Operands of
// 4 bytes cannot be transposed on their way to a tensor core, which filter gradients need.
constexpr ConvolutionParameters kHalf{.pointwise = {1.031, 1.016, 1.131},
                                      .spatial = {1.157, 1.243, 1.168},
                                      .few_channels = {3.161, 1.18, 3.96},
                                      .fast = {}};
constexpr ConvolutionParameters kTf32{.pointwise = {1.059, 1.1, 1.308},
                                      .spatial = {0.9887, 1.153, 1.686},
                                      .few_channels = {3.444, 1.1, 3.497},
                                      .fast = {}};
constexpr ConvolutionParameters kOrdinary{.pointwise = {0.9787, 1.107, 1.544},
                                          .spatial = {0.9695, 1.867, 1.319},
                                          .few_channels = {},
                                          .fast = {0.7386, 0.6645, 1.309},
                                          .winograd = {1.012, 1.002, 1.034}};
constexpr ConvolutionParameters kOrdinaryBesideTensor{.pointwise = {1.376, 1.94, 2.023},
                                                      .spatial = {1.582, 1.848, 1.781},
                                                      .few_channels = {},
                                                      .fast = {1.166, 0.7958, 0.722},
                                                      .winograd = {}};

// Products that a multiprocessor's direct kernels take in a cycle, by pass: depthwise convolutions of EfficientNet-B0
// in this project's step on an H100 in bf16.
constexpr std::array<double, 3> kDirectProducts = {9.0, 5.0, 5.5};

// Copies between layouts reach this share of what a copy in order does; the same measurements.
constexpr double kTransposed = 0.72;

constexpr double kVector = 16.0;  // bytes that one instruction moves

double real(std::int64_t value) {
  return static_cast<double>(value);
}

std::int64_t quotient_up(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

std::int64_t per_vector(Precision precision) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(kVector / bytes_per_element(precision).value));
}

bool has_few_channels(const Convolution& work) {
  return work.groups == 1 && work.channels < per_vector(work.precision);
}

bool is_pointwise(const Convolution& work) {
  return work.filter_height == 1 && work.filter_width == 1;
}

// What is read and written: input, output and filters, one of them as the result. Of the input, the pixels that a
// filter meets; its gradient is written whole.
Bytes tensors(const Convolution& work) {
  const std::int64_t met =
      work.channels * work.images * work.out_height() * work.out_width() * work.filter_height * work.filter_width;
  const std::int64_t inputs =
      work.pass == ConvolutionPass::kInputGradient ? work.inputs() : std::min(work.inputs(), met);
  return bytes_per_element(work.precision) * real(inputs + work.outputs() + work.weights());
}

// Elements of both operands and of the result.
double operands(const Gemm& gemm) {
  return real(gemm.batch) * (real(gemm.m) * real(gemm.k) + real(gemm.k) * real(gemm.n) + real(gemm.m) * real(gemm.n));
}

// A GEMM whose traffic is `traffic`, whatever its operands' sizes.
Gemm with_traffic(Gemm gemm, Bytes traffic) {
  gemm.extra_traffic = traffic - bytes_per_element(gemm.precision) * operands(gemm);
  return gemm;
}

// The same bytes, multiplied in another format.
Gemm multiplied_in(Gemm gemm, Precision precision) {
  gemm.extra_traffic += (bytes_per_element(gemm.precision) - bytes_per_element(precision)) * operands(gemm);
  gemm.precision = precision;
  return gemm;
}

// A kernel that multiplies element by element on the ordinary cores and moves each tensor once.
Seconds direct_time(const Convolution& work, const GpuSpec& gpu, const KernelCalibration& calibration,
                    const GpuShare& share) {
  const double products = work.flops().value / 2.0;
  return memory_bound_time(
      {.traffic = tensors(work), .cycles = products / kDirectProducts[static_cast<std::size_t>(work.pass)]}, gpu,
      calibration.memory_bound.elementwise, share);
}

std::int64_t padded_channels(const Convolution& work) {
  const std::int64_t vector = per_vector(work.precision);
  return quotient_up(work.channels, vector) * vector;
}

std::array<double, 3> ConvolutionParameters::*slowdown(const Convolution& work, bool is_tensor) {
  if (is_tensor && has_few_channels(work)) {
    return &ConvolutionParameters::few_channels;
  }
  return is_pointwise(work) ? &ConvolutionParameters::pointwise : &ConvolutionParameters::spatial;
}

bool has_fast(const Convolution& work) {
  return work.filter_height >= 3 && work.filter_width >= 3 && work.stride == 1 && work.groups == 1;
}

}  // namespace

Gemm implicit_gemm(const Convolution& work) {
  const std::int64_t taps = work.filter_height * work.filter_width;
  const std::int64_t channels = work.channels / work.groups;
  const std::int64_t filters = work.filters / work.groups;
  const std::int64_t pixels = work.images * work.out_height() * work.out_width();
  Gemm gemm{.batch = work.groups, .precision = work.precision};
  switch (work.pass) {
    case ConvolutionPass::kForward:
      gemm.m = pixels;
      gemm.n = filters;
      gemm.k = channels * taps;
      break;
    case ConvolutionPass::kInputGradient:
      gemm.m = work.images * work.height * work.width;
      gemm.n = channels;
      gemm.k = quotient_up(filters * taps, work.stride * work.stride);
      break;
    case ConvolutionPass::kFilterGradient:
      gemm.m = filters;
      gemm.n = channels * taps;
      gemm.k = pixels;
      break;
  }
  return with_traffic(gemm, tensors(work));
}

bool has_winograd(const Convolution& work) {
  return work.filter_height == 3 && work.filter_width == 3 && work.stride == 1 && work.groups == 1;
}

Gemm winograd_gemm(const Convolution& work) {
  constexpr std::int64_t kTile = 4;
  constexpr std::int64_t kProducts = (kTile + 2) * (kTile + 2);
  const std::int64_t tiles = work.images * quotient_up(work.out_height(), kTile) * quotient_up(work.out_width(), kTile);
  Gemm gemm{.m = tiles, .n = work.filters, .k = work.channels, .batch = kProducts, .precision = work.precision};
  if (work.pass == ConvolutionPass::kInputGradient) {
    std::swap(gemm.n, gemm.k);
  } else if (work.pass == ConvolutionPass::kFilterGradient) {
    gemm = {.m = work.filters, .n = work.channels, .k = tiles, .batch = kProducts, .precision = work.precision};
  }
  // The transformed tiles of input, output and filters are written and read once more.
  const double transformed =
      real(kProducts) * real(tiles * (work.channels + work.filters) + work.channels * work.filters);
  return with_traffic(gemm, tensors(work) + 2.0 * transformed * bytes_per_element(work.precision));
}

bool on_tensor_cores(const GpuSpec& gpu, Precision precision) {
  // Ordinary cores do two fp16 operations in the place of one.
  constexpr double kTwice = 2.5;
  return gpu.peak_for(precision) > kTwice * gpu.peak_for(Precision::kFp32);
}

ConvolutionUnits convolution_units(const GpuSpec& gpu, Precision precision) {
  if (on_tensor_cores(gpu, precision)) {
    return bytes_per_element(precision) > bytes_per_element(Precision::kFp16) ? ConvolutionUnits::kTf32
                                                                              : ConvolutionUnits::kHalf;
  }
  // Hand-written kernels for ordinary cores ended with Volta.
  return on_tensor_cores(gpu, Precision::kTf32) ? ConvolutionUnits::kOrdinaryBesideTensor : ConvolutionUnits::kOrdinary;
}

const ConvolutionParameters& convolution_parameters(ConvolutionUnits units) {
  static constexpr std::array<ConvolutionParameters, kConvolutionUnits> kOfUnits = {kHalf, kTf32, kOrdinary,
                                                                                    kOrdinaryBesideTensor};
  return kOfUnits[static_cast<std::size_t>(units)];
}

Bytes layout_traffic(const Convolution& work) {
  const bool has_whole_vectors = work.height * work.width % per_vector(work.precision) == 0;
  if (work.layout == ImageLayout::kNhwc || (is_pointwise(work) && work.stride == 1 && has_whole_vectors)) {
    return {};
  }
  return 2.0 * real(work.inputs() + work.outputs()) * bytes_per_element(work.precision);
}

ConvolutionWays convolution_ways(const Convolution& work, const GpuSpec& gpu, const KernelCalibration& calibration,
                                 double clock_ratio, const GpuShare& share) {
  const bool is_tensor = on_tensor_cores(gpu, work.precision);
  Convolution padded = work;
  padded.channels = is_tensor && has_few_channels(work) ? padded_channels(work) : work.channels;
  // Ordinary cores multiply in fp32, whatever the format of images and filters.
  const Precision products = is_tensor ? work.precision : Precision::kFp32;
  const auto time_of = [&](const Gemm& gemm) {
    return gemm_time(multiplied_in(gemm, products), gpu, calibration.gemm_for(products), clock_ratio, share);
  };
  ConvolutionWays ways{.implicit = time_of(implicit_gemm(padded)), .slowdown = slowdown(work, is_tensor)};
  ways.fast = has_fast(work) ? ways.implicit : Seconds{};
  ways.winograd = has_winograd(work) ? time_of(winograd_gemm(work)) : Seconds{};
  ways.direct = work.groups > 1 ? direct_time(work, gpu, calibration, share) : Seconds{};
  if (is_tensor) {
    const MemoryBound copies{.traffic = layout_traffic(work) / kTransposed};
    ways.copies = memory_bound_time(copies, gpu, calibration.memory_bound.elementwise, share);
  }
  return ways;
}

Seconds fastest_time(const ConvolutionWays& ways, ConvolutionPass pass, const ConvolutionParameters& parameters) {
  const auto of_pass = static_cast<std::size_t>(pass);
  Seconds fastest = ways.implicit * (parameters.*ways.slowdown)[of_pass];
  for (const Seconds way :
       {ways.fast * parameters.fast[of_pass], ways.winograd * parameters.winograd[of_pass], ways.direct}) {
    fastest = way > Seconds{} ? min(fastest, way) : fastest;
  }
  return fastest + ways.copies;
}

Seconds convolution_time(const Convolution& work, const GpuSpec& gpu, const KernelCalibration& calibration,
                         double clock_ratio, const GpuShare& share) {
  if (work.flops() <= Flops{}) {
    return {};
  }
  return fastest_time(convolution_ways(work, gpu, calibration, clock_ratio, share), work.pass,
                      convolution_parameters(convolution_units(gpu, work.precision)));
}

}  // namespace trainyard
