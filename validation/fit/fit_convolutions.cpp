#include "validation/fit/fit_convolutions.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string>

#include "sim/base/files.hpp"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPublished = "validation/published/kernels/conv_deepbench.csv";
constexpr const char* kOwn = "validation/measurements/h100-sxm-20261127-convolutions.jsonl";
constexpr const char* kOwnGpu = "h100-sxm";
constexpr Seconds kShortest{60e-6};  // launches show in shorter ones
constexpr int kMostRounds = 100;

using Member = std::array<double, 3> ConvolutionParameters::*;
constexpr std::array<Member, 5> kMembers = {&ConvolutionParameters::pointwise, &ConvolutionParameters::spatial,
                                            &ConvolutionParameters::few_channels, &ConvolutionParameters::fast,
                                            &ConvolutionParameters::winograd};

ConvolutionUnits units_of(const KernelMeasurement& row) {
  return convolution_units(*row.gpu, std::get<Convolution>(row.work).precision);
}

bool shapes_the_model(const KernelMeasurement& row, bool is_own) {
  const auto& work = std::get<Convolution>(row.work);
  const bool is_old = units_of(row) == ConvolutionUnits::kOrdinary && !on_tensor_cores(*row.gpu, Precision::kFp16) &&
                      work.precision == Precision::kFp32;
  const bool needs_copies = units_of(row) != ConvolutionUnits::kOrdinaryBesideTensor && layout_traffic(work) > Bytes{};
  return row.skipped.empty() && work.groups == 1 && (is_own ? row.measured >= kShortest && !needs_copies : is_old);
}

// One measured convolution, priced by every way.
struct Priced {
  const KernelMeasurement* row = nullptr;
  ConvolutionPass pass = ConvolutionPass::kForward;
  ConvolutionWays ways;

  // The parameter that its fastest way has, and what that way takes before it.
  std::pair<Member, Seconds> fastest(const ConvolutionParameters& parameters) const {
    const auto of_pass = static_cast<std::size_t>(pass);
    std::pair<Member, Seconds> out{ways.slowdown, ways.implicit};
    Seconds time = ways.implicit * (parameters.*ways.slowdown)[of_pass];
    const auto consider = [&](Member member, Seconds way) {
      const Seconds candidate = way * (parameters.*member)[of_pass];
      if (candidate > Seconds{} && candidate < time) {
        time = candidate;
        out = {member, way};
      }
    };
    consider(&ConvolutionParameters::fast, ways.fast);
    consider(&ConvolutionParameters::winograd, ways.winograd);
    return out;
  }
};

// With weights that sum to one for each GPU.
double weighted_median(std::vector<std::pair<double, std::string>> ratios) {
  std::map<std::string, double> of_gpu;
  for (const auto& [ratio, gpu] : ratios) {
    of_gpu[gpu] += 1.0;
  }
  std::sort(ratios.begin(), ratios.end());
  const double half = static_cast<double>(of_gpu.size()) / 2.0;
  double sum = 0.0;
  for (const auto& [ratio, gpu] : ratios) {
    sum += 1.0 / of_gpu[gpu];
    if (sum >= half) {
      return ratio;
    }
  }
  return ratios.back().first;
}

// One round; whether any parameter moved.
bool refine(const std::vector<Priced>& rows, ConvolutionParameters& parameters) {
  std::map<std::pair<std::size_t, std::size_t>, std::vector<std::pair<double, std::string>>> ratios;
  for (const Priced& one : rows) {
    const auto [member, before] = one.fastest(parameters);
    const auto index = static_cast<std::size_t>(std::find(kMembers.begin(), kMembers.end(), member) - kMembers.begin());
    ratios[{index, static_cast<std::size_t>(one.pass)}].emplace_back((one.row->measured - one.ways.copies) / before,
                                                                     one.row->gpu_name);
  }
  bool moved = false;
  for (auto& [place, measured] : ratios) {
    double& parameter = (parameters.*kMembers[place.first])[place.second];
    const double median = weighted_median(std::move(measured));
    moved = moved || median != parameter;
    parameter = median;
  }
  return moved;
}

}  // namespace

std::vector<KernelMeasurement> convolution_measurements() {
  std::vector<KernelMeasurement> out;
  const auto take = [&out](const fs::path& path, bool is_own, const GpuSpec* gpu) {
    if (!fs::exists(path)) {
      return;
    }
    for (KernelMeasurement& row : read_kernel_measurements({path.string()}, gpu)) {
      if (row.kind() == KernelKind::kConvolution && row.gpu && shapes_the_model(row, is_own)) {
        out.push_back(std::move(row));
      }
    }
  };
  const GpuSpec own = load_gpu(kOwnGpu);
  take(home_folder() / kPublished, false, nullptr);
  take(home_folder() / kOwn, true, &own);
  return out;
}

ConvolutionParameters fit_convolutions(const std::vector<KernelMeasurement>& rows, ConvolutionUnits units,
                                       const ConvolutionParameters& start, std::optional<std::size_t> left_out) {
  std::vector<Priced> priced;
  for (const KernelMeasurement& row : rows) {
    if (units_of(row) == units && (!left_out || fold_of(row) != *left_out)) {
      const auto& work = std::get<Convolution>(row.work);
      priced.push_back({&row, work.pass, convolution_ways(work, *row.gpu, calibration_for(*row.gpu), 1.0)});
    }
  }
  ConvolutionParameters parameters = start;
  for (int round = 0; round < kMostRounds && refine(priced, parameters); ++round) {
  }
  return parameters;
}

FittedConvolutions fit_convolutions(const std::vector<KernelMeasurement>& rows, std::optional<std::size_t> left_out) {
  FittedConvolutions out;
  for (std::size_t i = 0; i < kConvolutionUnits; ++i) {
    const auto units = static_cast<ConvolutionUnits>(i);
    out[i] = fit_convolutions(rows, units, convolution_parameters(units), left_out);
  }
  return out;
}

}  // namespace trainyard
