#pragma once
// Convolutions on one GPU, as a library runs them: implicit GEMMs, fast algorithms where multiplications are dear,
// direct kernels where a group has few channels, and copies into the order of pixels that tensor cores want.
#include <array>
#include <cstddef>

#include "kernels/calibration.hpp"
#include "kernels/gpu.hpp"
#include "sim/base/work.hpp"

namespace trainyard {

// The GEMM that an implicit-GEMM kernel computes, one for each group. Forward [images x pixels, channels x filter] x
// [.., filters]; the input's gradient sums over filters (with a stride over the filter's taps that meet a pixel); the
// filters' gradient sums over images and pixels. `extra_traffic` replaces the operand that is never written out, each
// pixel once per tap of the filter, by the tensors that are read and written. Source: Chetlur et al., "cuDNN: Efficient
// Primitives for Deep Learning", arXiv 1410.0759, section 3.
Gemm implicit_gemm(const Convolution& work);

// The products of the fast algorithm F(4 x 4, 3 x 3): 36 GEMMs over tiles of 4 x 4 outputs, which take a quarter of the
// multiplications; transformed tiles are written and read again. Filters of 3 x 3 with stride 1 in one group. Source:
// Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", arXiv 1509.09308, sections 4 and 5.
bool has_winograd(const Convolution& work);
Gemm winograd_gemm(const Convolution& work);

// By pass: forward, the input's gradient, the filters'.
struct ConvolutionParameters {
  std::array<double, 3> pointwise{};     // time over that of the implicit GEMM as a GEMM, of 1 x 1 filters
  std::array<double, 3> spatial{};       // and of larger ones
  std::array<double, 3> few_channels{};  // and of images, whose channels are padded to a vector of 16 bytes
  // Of Fourier's and of Winograd's algorithm in one kernel, for filters of 3 x 3 and more with stride 1, over the time
  // of the implicit GEMM; of Winograd's in several kernels, over that of winograd_gemm. Zero: there are none.
  std::array<double, 3> fast{};
  std::array<double, 3> winograd{};
};
// Kernels that were written for one kind of units: tensor cores with operands of 16 bits and with tf32, ordinary cores
// where there were no others, and ordinary cores since.
enum class ConvolutionUnits { kHalf, kTf32, kOrdinary, kOrdinaryBesideTensor };
inline constexpr std::size_t kConvolutionUnits = 4;
ConvolutionUnits convolution_units(const GpuSpec& gpu, Precision precision);
const ConvolutionParameters& convolution_parameters(ConvolutionUnits units);

// Whether tensor cores multiply the format.
bool on_tensor_cores(const GpuSpec& gpu, Precision precision);

// Copies of both images of a pass between the layouts, in bytes. Kernels of tensor cores read the channels of a pixel
// side by side; filters of 1 x 1 are plain GEMMs in either layout where rows of pixels are whole vectors.
Bytes layout_traffic(const Convolution& work);

// The ways in which a convolution may be done, each as long as it takes before its parameter; zero: there is no such
// way.
struct ConvolutionWays {
  Seconds implicit{};  // times the parameter that `slowdown` names
  std::array<double, 3> ConvolutionParameters::*slowdown = nullptr;
  Seconds fast{};      // times `fast`
  Seconds winograd{};  // times `winograd`
  Seconds direct{};    // as it is
  Seconds copies{};    // between layouts, whatever the way
};
ConvolutionWays convolution_ways(const Convolution& work, const GpuSpec& gpu, const KernelCalibration& calibration,
                                 double clock_ratio, const GpuShare& share = {});
// Of the fastest way.
Seconds fastest_time(const ConvolutionWays& ways, ConvolutionPass pass, const ConvolutionParameters& parameters);

// Device time of one kernel sequence. Zero when there is nothing to convolve.
Seconds convolution_time(const Convolution& work, const GpuSpec& gpu, const KernelCalibration& calibration,
                         double clock_ratio, const GpuShare& share = {});

}  // namespace trainyard
