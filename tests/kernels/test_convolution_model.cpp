#include <doctest/doctest.h>

#include "kernels/convolution_model.hpp"
#include "kernels/kernel_costs.hpp"

using namespace trainyard;

namespace test_convolution_model {

constexpr Convolution kSpatial{.images = 64,
                               .channels = 64,
                               .height = 56,
                               .width = 56,
                               .filters = 128,
                               .filter_height = 3,
                               .filter_width = 3,
                               .pad_height = 1,
                               .pad_width = 1,
                               .layout = ImageLayout::kNhwc,
                               .precision = Precision::kFp16};

Seconds time_of(const Convolution& work, const char* gpu_name) {
  const GpuSpec gpu = load_gpu(gpu_name);
  return convolution_time(work, gpu, calibration_for(gpu), 1.0);
}

TEST_CASE("a convolution's operations are two for each tap, channel, filter and output") {
  CHECK(kSpatial.flops().value == 2.0 * 64 * 56 * 56 * 64 * 128 * 9);
  Convolution strided = kSpatial;
  strided.stride = 2;
  CHECK(strided.out_height() == 28);
  CHECK(strided.flops().value == kSpatial.flops().value / 4.0);
}

TEST_CASE("every pass multiplies the same numbers as one GEMM") {
  for (const ConvolutionPass pass :
       {ConvolutionPass::kForward, ConvolutionPass::kInputGradient, ConvolutionPass::kFilterGradient}) {
    Convolution work = kSpatial;
    work.pass = pass;
    CHECK(implicit_gemm(work).flops().value == doctest::Approx(kSpatial.flops().value));
  }
}

TEST_CASE("images in rows of pixels are copied for tensor cores, but for filters of one pixel over whole vectors") {
  Convolution work = kSpatial;
  CHECK(layout_traffic(work) == Bytes{});
  work.layout = ImageLayout::kNchw;
  CHECK(layout_traffic(work).value == 2.0 * 2.0 * 64 * 56 * 56 * (64 + 128));
  CHECK(time_of(work, "v100-16") > time_of(kSpatial, "v100-16"));
  Convolution pointwise = work;
  pointwise.filter_height = pointwise.filter_width = 1;
  pointwise.pad_height = pointwise.pad_width = 0;
  CHECK(layout_traffic(pointwise) == Bytes{});
  pointwise.height = pointwise.width = 7;  // 49 pixels: no whole vectors of eight
  CHECK(layout_traffic(pointwise) > Bytes{});
  // Ordinary cores read either.
  work.precision = Precision::kFp32;
  Convolution other = work;
  other.layout = ImageLayout::kNhwc;
  CHECK(time_of(work, "p100") == time_of(other, "p100"));
}

TEST_CASE("a fast algorithm multiplies less: above the ordinary cores' peak on Pascal, never on tensor cores") {
  Convolution work = kSpatial;
  work.precision = Precision::kFp32;
  work.channels = work.filters = 256;
  const GpuSpec p100 = load_gpu("p100");
  CHECK(work.flops() / time_of(work, "p100") > p100.peak_for(Precision::kFp32));
  work.precision = Precision::kFp16;
  const GpuSpec v100 = load_gpu("v100-16");
  CHECK(work.flops() / time_of(work, "v100-16") < v100.peak_for(Precision::kFp16));
  work.precision = Precision::kFp32;
  work.stride = 2;
  CHECK(work.flops() / time_of(work, "p100") < p100.peak_for(Precision::kFp32));
}

TEST_CASE("one channel to a group is bound by memory or by ordinary cores, not by empty tensor cores") {
  Convolution work = kSpatial;
  work.groups = 64;
  work.filters = 64;
  const double bytes = 2.0 * (2.0 * 64 * 64 * 56 * 56 + 9 * 64);
  const Seconds bound{bytes / load_gpu("h100-sxm").memory_bandwidth.value};
  CHECK(time_of(work, "h100-sxm") > bound);
  CHECK(time_of(work, "h100-sxm") < 6.0 * bound);
}

TEST_CASE("nothing to convolve takes no time") {
  Convolution work = kSpatial;
  work.images = 0;
  CHECK(time_of(work, "v100-16") == Seconds{});
}

}  // namespace test_convolution_model
