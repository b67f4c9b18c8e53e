#include "validation/fit/fit_kernels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "sim/base/error.hpp"
#include "sim/base/files.hpp"
#include "validation/fit/fit_inputs.hpp"
#include "validation/fit/kernel_fitter.hpp"
#include "validation/fit/suite_checks.hpp"
#include "validation/fit/sustained_clocks.hpp"
#include "validation/tables/statistics.hpp"
#include "validation/tables/suite_records.hpp"

namespace trainyard {
namespace {

using Rows = MeasurementRows;

constexpr Seconds kLongKernel{10e-3};

// The default attention kernel of a family: the one with most rows that measure training (both directions), else the
// one with most rows. A profile of the same architecture keeps its choice where no row measures training.
void choose_default_attention(const Rows& rows, bool same_architecture, KernelCalibration& calibration) {
  std::map<PrecisionFamily, std::map<std::string, std::pair<std::size_t, std::size_t>>> counts;
  for (const KernelMeasurement* row : rows) {
    if (const auto* measured = std::get_if<MeasuredAttention>(&row->work)) {
      auto& [training, all] = counts[family_of(*row)][measured->kernel];
      training += measured->pass == AttentionPass::kForward ? 0 : 1;
      all += 1;
    }
  }
  for (const auto& [family, kernels] : counts) {
    const auto best = std::max_element(kernels.begin(), kernels.end(),
                                       [](const auto& a, const auto& b) { return a.second < b.second; });
    const bool keep = same_architecture && best->second.first == 0 &&
                      calibration.default_attention.find(family) != calibration.default_attention.end();
    if (best->second.second >= kFewestRows && !keep) {
      calibration.default_attention[family] = best->first;
    }
  }
}

// Attention kernels of another architecture are no kernels of this one, but some default has to remain.
void keep_default_attention(const Rows& rows, KernelCalibration& calibration) {
  std::set<std::string> kept;
  for (const auto& [family, kernel] : calibration.default_attention) {
    kept.insert(kernel);
  }
  for (const KernelMeasurement* row : rows) {
    if (const auto* measured = std::get_if<MeasuredAttention>(&row->work)) {
      kept.insert(measured->kernel);
    }
  }
  std::erase_if(calibration.attention, [&](const auto& entry) { return kept.find(entry.first) == kept.end(); });
}

// GEMMs so long that the clock gives way to the power limit: predicted at the burst clock over measured. It is the
// figure behind GpuSpec::sustained_clock_ratio.
Json long_kernels_json(const Rows& rows, const FittedKernels& fitted) {
  std::vector<double> ratios;
  for (const KernelMeasurement* row : rows) {
    if (row->kind() == KernelKind::kGemm && family_of(*row) == PrecisionFamily::kHalf && row->measured > kLongKernel &&
        harness_for(fitted.harnesses, row->source, PrecisionFamily::kHalf).clock_ratio >= 1.0) {
      ratios.push_back(predicted_time(*row, fitted) / row->measured);
    }
  }
  const std::size_t count = ratios.size();
  const auto median = quantile(std::move(ratios), 0.5);
  return {{"longer_than", "10 ms"},
          {"rows", count},
          {"median_predicted_over_measured", median ? Json(std::round(*median * 1e3) / 1e3) : Json(nullptr)}};
}

Json clocks_json(const std::map<PrecisionFamily, SustainedClock>& clocks) {
  Json out = Json::object();
  for (const auto& [family, clock] : clocks) {
    out[std::string(kPrecisionFamilyNames.name_of(family))] = {{"pairs", clock.pairs},
                                                               {"ratio", std::round(clock.ratio * 1e3) / 1e3}};
  }
  return out;
}

Json errors_json(const Rows& rows, const std::function<const FittedKernels&(const KernelMeasurement&)>& fitted) {
  std::map<std::string, std::pair<std::vector<double>, std::vector<double>>> groups;
  for (const KernelMeasurement* row : rows) {
    auto& [measured, predicted] = groups[row->group];
    measured.push_back(row->measured.value);
    predicted.push_back(predicted_time(*row, fitted(*row)).value);
  }
  Json out = Json::object();
  for (const auto& [group, series] : groups) {
    const ErrorSummary summary = summarize_errors(series.first, series.second);
    const auto rounded = [](std::optional<double> value) { return std::round(value.value_or(0.0) * 1e4) / 1e4; };
    const auto [shortest, longest] = std::minmax_element(series.first.begin(), series.first.end());
    out[group] = {{"rows", summary.count},
                  {"median_abs_error", rounded(summary.median_abs_error)},
                  {"p90_abs_error", rounded(summary.p90_abs_error)},
                  {"shortest", fmt::format("{:.4g} us", *shortest * 1e6)},
                  {"longest", fmt::format("{:.4g} us", *longest * 1e6)}};
  }
  return out;
}

Json harnesses_json(const HarnessTable& table) {
  Json out = Json::array();
  for (const auto& [key, parameters] : table) {
    Json entry = {{"source", key.first}, {"family", std::string(kPrecisionFamilyNames.name_of(key.second))}};
    entry["parameters"] = write_parameters<HarnessParameters>(parameters, harness_parameter_fields());
    out.push_back(std::move(entry));
  }
  return out;
}

FittedKernels parse_fitted(const JsonReader& reader) {
  reader.expect_keys({"profile", "harnesses"});
  FittedKernels fitted{.calibration = parse_calibration(reader.at("profile"))};
  for (const JsonReader& entry : reader.at("harnesses").elements()) {
    entry.expect_keys({"source", "family", "parameters"});
    const auto family = kPrecisionFamilyNames.find(entry.at("family").text());
    if (!family) {
      entry.at("family").fail("unknown precision family", join_names(kPrecisionFamilyNames.names()));
    }
    fitted.harnesses[{entry.at("source").text(), *family}] =
        read_parameters<HarnessParameters>(entry.at("parameters"), harness_parameter_fields());
  }
  return fitted;
}

std::filesystem::path folds_path(const std::string& profile) {
  return home_folder() / "validation/folds" / fmt::format("{}.json", profile);
}

}  // namespace

KernelFit fit_kernels(const std::string& gpu_name, const std::vector<std::string>& files) {
  const GpuSpec gpu = load_gpu(gpu_name);
  const std::vector<KernelMeasurement> measurements = read_kernel_measurements(files, &gpu);
  Rows rows;
  std::map<std::string, std::size_t> inputs;
  for (const KernelMeasurement& row : measurements) {
    // A profile may also price GPUs it was not measured on; their rows test the transfer and do not shape the profile.
    if (row.skipped.empty() && row.kind() != KernelKind::kConvolution && row.gpu->calibration == gpu.calibration &&
        row.gpu->architecture == gpu.architecture && row.gpu->compute_capability == gpu.compute_capability) {
      rows.push_back(&row);
      ++inputs[std::filesystem::path(row.file).filename().string()];
    }
  }
  if (rows.empty()) {
    throw UserError({.file = files.empty() ? "" : files.front(),
                     .found = fmt::format("{} rows, none of them usable for {}", measurements.size(), gpu_name),
                     .problem = "nothing to fit",
                     .remedy = "give tables whose column gpu names this GPU"});
  }
  Json left_out = check_fit_inputs(rows, files.front());
  const std::map<std::string, Harness> harnesses = load_harnesses();
  FittedKernels start{.calibration = calibration_for(gpu)};
  const std::string base = start.calibration.name;
  const bool same_architecture = start.calibration.architecture == gpu.architecture;
  start.calibration.name = gpu.calibration;
  start.calibration.architecture = gpu.architecture;
  choose_default_attention(rows, same_architecture, start.calibration);
  if (!same_architecture) {
    keep_default_attention(rows, start.calibration);
  }

  // The clock that sustained runs held is measured, not fitted: it is the rows' harness.
  const std::map<PrecisionFamily, SustainedClock> clocks = sustained_clocks(rows);
  for (const auto& [family, clock] : clocks) {
    start.harnesses[{std::string(kSuiteSustained), family}].clock_ratio = clock.ratio;
  }
  KernelFit fit{.name = gpu.calibration, .gpu = gpu_name, .all = fit_to_rows(rows, start, harnesses)};
  for (std::size_t fold = 0; fold < kFolds; ++fold) {
    Rows others;
    std::copy_if(rows.begin(), rows.end(), std::back_inserter(others),
                 [fold](const KernelMeasurement* row) { return fold_of(*row) != fold; });
    fit.folds.push_back(fit_to_rows(others, start, harnesses));
  }
  Json input_list = Json::array();
  for (const auto& [file, count] : inputs) {
    input_list.push_back({{"file", file}, {"rows", count}});
  }
  fit.report = {
      {"inputs", std::move(input_list)},
      {"sections_without_rows_from", base},
      {"sections_with_too_few_rows", std::move(left_out)},
      {"harnesses", harnesses_json(fit.all.harnesses)},
      {"long_half_precision_gemms", long_kernels_json(rows, fit.all)},
      {"sustained_clock", clocks_json(clocks)},
      {"in_sample", errors_json(rows, [&](const KernelMeasurement&) -> const FittedKernels& { return fit.all; })},
      {"cross_validated",
       errors_json(rows,
                   [&](const KernelMeasurement& row) -> const FittedKernels& { return fit.folds[fold_of(row)]; })},
      {"valid_range", valid_range(rows)}};
  if (Json checks = suite_checks(files, gpu, fit.all); !checks.is_null()) {
    fit.report["suite"] = std::move(checks);
  }
  return fit;
}

Json to_json(const KernelFit& fit) {
  Json profile = to_json(fit.all.calibration);
  profile["fit"] = fit.report;
  return profile;
}

// GpuSpec::sustained_clock_ratio is of the GPU, not of its kernels: where half-precision GEMMs were timed both ways,
// the GPU's own file says what they showed.
static void save_clock(const KernelFit& fit) {
  const Json& clocks = fit.report.at("sustained_clock");
  const auto half = clocks.find(std::string(kPrecisionFamilyNames.name_of(PrecisionFamily::kHalf)));
  if (half == clocks.end()) {
    return;
  }
  const std::filesystem::path path = home_folder() / "kernels/gpus" / fmt::format("{}.json", fit.gpu);
  Json gpu = read_json_file(path);
  gpu["sustained_clock_ratio"] = half->at("ratio");
  gpu["sources"]["sustained_clock_ratio"] = fmt::format(
      "measured: bursts over sustained runs, median of {} half-precision GEMMs of validation/microbench: "
      "fit.sustained_clock of kernels/calibration/{}.json",
      half->at("pairs").get<std::size_t>(), fit.name);
  write_file(path, gpu.dump(2) + "\n");
}

void save_fit(const KernelFit& fit) {
  save_clock(fit);
  Json folds = Json::array();
  for (const FittedKernels& fold : fit.folds) {
    folds.push_back({{"profile", to_json(fold.calibration)}, {"harnesses", harnesses_json(fold.harnesses)}});
  }
  write_file(home_folder() / kCalibrationFolder / fmt::format("{}.json", fit.name), to_json(fit).dump(2) + "\n");
  write_file(folds_path(fit.name), folds.dump(1) + "\n");
}

std::set<std::string> fit_inputs(const std::string& profile) {
  std::set<std::string> files;
  const std::filesystem::path path = home_folder() / kCalibrationFolder / fmt::format("{}.json", profile);
  if (!std::filesystem::exists(path)) {
    return files;
  }
  const Json document = read_json_file(path);
  if (const auto fit = JsonReader(document, path.string()).find("fit")) {
    for (const JsonReader& input : fit->at("inputs").elements()) {
      files.insert(input.at("file").text());
    }
  }
  return files;
}

std::vector<FittedKernels> load_folds(const std::string& profile) {
  std::vector<FittedKernels> folds;
  const std::filesystem::path path = folds_path(profile);
  if (!std::filesystem::exists(path)) {
    return folds;
  }
  const Json document = read_json_file(path);
  const JsonReader file(document, path.string());
  for (const JsonReader& fold : file.elements()) {
    folds.push_back(parse_fitted(fold));
  }
  if (folds.size() != kFolds) {
    file.fail("wrong number of folds", fmt::format("{}", kFolds));
  }
  return folds;
}

}  // namespace trainyard
