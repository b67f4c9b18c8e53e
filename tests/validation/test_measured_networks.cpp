// Convolutions and whole networks against this project's own measurements on one H100 (validation/measurements).
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <sstream>
#include <vector>

#include "kernels/convolution_model.hpp"
#include "sim/base/files.hpp"
#include "sim/base/json_reader.hpp"
#include "sim/predict/predict.hpp"
#include "sim/scenario/read_scenario.hpp"

using namespace trainyard;

namespace test_measured_networks {

std::vector<Json> records(const std::string& name, const std::string& kind) {
  std::istringstream lines(read_file(home_folder() / "validation" / "measurements" / name));
  std::vector<Json> out;
  for (std::string line; std::getline(lines, line);) {
    Json record = parse_json(line, name);
    if (record.at("record") == kind) {
      out.push_back(std::move(record));
    }
  }
  return out;
}

double median(std::vector<double> values) {
  REQUIRE(!values.empty());
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

Convolution convolution_of(const Json& record) {
  const auto count = [&](const char* key) { return record.at(key).get<std::int64_t>(); };
  const std::string direction = record.at("direction");
  return {.images = count("batch"),
          .channels = count("channels"),
          .height = count("height"),
          .width = count("width"),
          .filters = count("filters"),
          .filter_height = count("filter_height"),
          .filter_width = count("filter_width"),
          .stride = count("stride"),
          .pad_height = count("pad_height"),
          .pad_width = count("pad_width"),
          .groups = count("groups"),
          .pass = direction == "fwd"     ? ConvolutionPass::kForward
                  : direction == "dgrad" ? ConvolutionPass::kInputGradient
                                         : ConvolutionPass::kFilterGradient,
          .layout = *kImageLayoutNames.find(record.at("layout").get<std::string>()),
          .precision = *kPrecisionNames.find(record.at("dtype").get<std::string>())};
}

TEST_CASE("convolutions of an H100, all of them, and those of networks in the layout that tensor cores want") {
  const GpuSpec gpu = load_gpu("h100-sxm");
  const KernelCalibration calibration = calibration_for(gpu);
  std::vector<double> all;
  std::vector<double> native;
  for (const Json& record : records("h100-sxm-20261127-convolutions.jsonl", "convolution")) {
    const Convolution work = convolution_of(record);
    const double measured = record.at("time_s").at("median");
    const double error = std::abs(convolution_time(work, gpu, calibration, 1.0).value / measured - 1.0);
    all.push_back(error);
    if (work.layout == ImageLayout::kNhwc && work.images >= 128) {
      native.push_back(error);
    }
  }
  CHECK(all.size() == 672);
  CHECK(median(all) < 0.20);
  CHECK(native.size() > 150);
  CHECK(median(native) < 0.08);
}

TEST_CASE("steps of image networks keep an H100 as busy as measured") {
  std::vector<double> errors;
  for (const Json& record : records("h100-sxm-20261127-networks.jsonl", "train_step")) {
    if (record.at("launch") != "eager" || !record.contains("image_size")) {
      continue;
    }
    const std::string recipe = record.at("recipe");
    const std::string precision = recipe.starts_with("autocast_") ? recipe.substr(9) : recipe;
    const Json document = {{"model", record.at("model")},
                           {"cluster", "dgx-h100"},
                           {"gpus", 1},
                           {"framework", "torchtitan"},
                           {"training",
                            {{"micro_batch", record.at("micro_batch")},
                             {"global_batch", record.at("micro_batch")},
                             {"precision", precision},
                             {"param_dtype", "fp32"},
                             {"grad_dtype", "fp32"},
                             {"optimizer", "sgd"},
                             {"zero_stage", 0},
                             {"data_parallel", "ddp"},
                             {"recompute", "none"},
                             {"image_layout", record.at("layout")}}}};
    const Prediction prediction = predict(read_scenario(document, "step"));
    const double busy = record.at("profile").at("busy_s");
    errors.push_back(std::abs(prediction.report.breakdown.compute.value / busy - 1.0));
  }
  CHECK(errors.size() >= 36);
  CHECK(median(errors) < 0.10);
  std::sort(errors.begin(), errors.end());
  CHECK(errors[errors.size() * 9 / 10] < 0.25);
}

}  // namespace test_measured_networks
