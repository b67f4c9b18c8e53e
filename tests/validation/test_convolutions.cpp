// Convolutions of published tables and of the suite as rows, and the fit of the model's parameters to them.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "sim/base/files.hpp"
#include "validation/fit/fit_convolutions.hpp"
#include "validation/score/validate_kernels.hpp"

using namespace trainyard;

namespace test_convolutions {

namespace {

std::vector<KernelMeasurement> published() {
  return read_kernel_measurements({(home_folder() / "validation/published/kernels/conv_deepbench.csv").string()});
}

const KernelMeasurement& row_of(const std::vector<KernelMeasurement>& rows, std::string_view id, ConvolutionPass pass) {
  const auto found = std::find_if(rows.begin(), rows.end(), [&](const KernelMeasurement& row) {
    return row.id == id && std::get<Convolution>(row.work).pass == pass;
  });
  REQUIRE(found != rows.end());
  return *found;
}

}  // namespace

TEST_CASE("a row of a table is three convolutions, in the layout and with the channels that its benchmark has") {
  const std::vector<KernelMeasurement> rows = published();
  CHECK(rows.size() == 3 * 626);
  const KernelMeasurement& plain = row_of(rows, "cdb-0130a2b15a", ConvolutionPass::kInputGradient);
  CHECK(plain.measured.value == doctest::Approx(303e-6));
  const auto& work = std::get<Convolution>(plain.work);
  CHECK(work.images == 16);
  CHECK(work.filters == 64);
  CHECK(work.layout == ImageLayout::kNchw);
  const auto& tensor = std::get<Convolution>(row_of(rows, "cdb-016b038777", ConvolutionPass::kForward).work);
  CHECK(tensor.layout == ImageLayout::kNhwc);
  for (const KernelMeasurement& row : rows) {
    const auto& one = std::get<Convolution>(row.work);
    if (row.gpu_name == "t4" && one.precision == Precision::kFp16) {
      CHECK(one.channels % 8 == 0);
      CHECK(one.filters % 8 == 0);
    }
  }
}

TEST_CASE("the model's own parameters are what a fit to all measurements gives") {
  const FittedConvolutions fitted = fit_convolutions(convolution_measurements(), std::nullopt);
  for (std::size_t units = 0; units < kConvolutionUnits; ++units) {
    const ConvolutionParameters& own = convolution_parameters(static_cast<ConvolutionUnits>(units));
    for (std::size_t pass = 0; pass < 3; ++pass) {
      CAPTURE(units);
      CAPTURE(pass);
      CHECK(fitted[units]->pointwise[pass] == doctest::Approx(own.pointwise[pass]).epsilon(0.02));
      CHECK(fitted[units]->spatial[pass] == doctest::Approx(own.spatial[pass]).epsilon(0.02));
      CHECK(fitted[units]->few_channels[pass] == doctest::Approx(own.few_channels[pass]).epsilon(0.02));
      CHECK(fitted[units]->fast[pass] == doctest::Approx(own.fast[pass]).epsilon(0.02));
      CHECK(fitted[units]->winograd[pass] == doctest::Approx(own.winograd[pass]).epsilon(0.02));
    }
  }
}

TEST_CASE("a fold's fit does not see the fold, and rows are scored with it") {
  std::vector<KernelMeasurement> rows = convolution_measurements();
  const FittedConvolutions without = fit_convolutions(rows, 2);
  std::erase_if(rows, [](const KernelMeasurement& row) { return fold_of(row) == 2; });
  const FittedConvolutions of_the_others = fit_convolutions(rows, std::nullopt);
  for (std::size_t units = 0; units < kConvolutionUnits; ++units) {
    CHECK(without[units]->pointwise == of_the_others[units]->pointwise);
    CHECK(without[units]->spatial == of_the_others[units]->spatial);
  }
  const Json scores =
      validate_convolutions({(home_folder() / "validation/published/kernels/conv_deepbench.csv").string()}, nullptr);
  std::size_t in_folds = 0;
  std::size_t elsewhere = 0;
  for (const Json& row : scores.at("rows")) {
    if (!row.at("error").is_null()) {
      ++(row.at("fit") == "5 folds by shape" ? in_folds : elsewhere);
    }
  }
  CHECK(in_folds > 1000);
  CHECK(elsewhere > 400);
}

TEST_CASE("ordinary cores multiply in fp32, whatever the format: half the bytes are all that 16 bits save") {
  const GpuSpec gpu = load_gpu("p100");
  const KernelCalibration calibration = calibration_for(gpu);
  Convolution work{.images = 16,
                   .channels = 256,
                   .height = 28,
                   .width = 28,
                   .filters = 512,
                   .filter_height = 3,
                   .filter_width = 3,
                   .pad_height = 1,
                   .pad_width = 1,
                   .precision = Precision::kFp32};
  const Seconds wide = convolution_time(work, gpu, calibration, 1.0);
  work.precision = Precision::kFp16;
  const Seconds narrow = convolution_time(work, gpu, calibration, 1.0);
  CHECK(narrow <= wide);
  CHECK(narrow > 0.8 * wide);
}

TEST_CASE("rows that no convolution has are skipped with a reason") {
  const std::string file = (std::filesystem::temp_directory_path() / "trainyard_conv_shapes.csv").string();
  std::ofstream(file) << "id,gpu,dtype,w,h,c,n,k,filter_w,filter_h,pad_w,pad_h,stride_w,stride_h,fwd_us\n"
                         "a,p100,fp32,112,112,64,16,64,1,1,0,0,0,0,295\n"
                         "b,p100,fp32,112,112,64,16,64,1,1,-5,-5,1,1,295\n"
                         "c,p100,fp32,2,2,64,16,64,5,5,0,0,1,1,295\n"
                         "d,p100,fp32,112,112,64,16,64,1,1,0,0,1,1,295\n";
  const Json scores = validate_convolutions({file}, nullptr);
  std::filesystem::remove(file);
  CHECK(scores.at("rows").at(0).at("reason").get<std::string>().find("stride") != std::string::npos);
  CHECK(scores.at("rows").at(1).at("reason").get<std::string>().find("padding") != std::string::npos);
  CHECK(scores.at("rows").at(2).at("reason").get<std::string>().find("larger") != std::string::npos);
  CHECK(scores.at("rows").at(3).at("reason").is_null());
}

}  // namespace test_convolutions
