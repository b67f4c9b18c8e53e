#include "validation/score/validate_kernels.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>

#include "sim/base/error.hpp"
#include "validation/fit/fit_convolutions.hpp"
#include "validation/fit/fit_kernels.hpp"
#include "validation/score/score_section.hpp"
#include "validation/tables/kernel_measurements.hpp"
#include "validation/tables/statistics.hpp"
#include "validation/tables/suite_records.hpp"

namespace trainyard {
namespace {

// The fits that score a GPU's rows, read once per profile.
class Fits {
 public:
  const FittedKernels& scoring(const KernelMeasurement& row) {
    auto found = fits_.find(row.gpu->name);
    if (found == fits_.end()) {
      std::vector<FittedKernels> fits = load_folds(row.gpu->calibration);
      if (fits.empty()) {
        fits.assign(kFolds, FittedKernels{.calibration = calibration_for(*row.gpu)});
      }
      for (FittedKernels& fit : fits) {
        fit.harnesses[{std::string(kSuiteSustained), PrecisionFamily::kHalf}].clock_ratio =
            row.gpu->sustained_clock_ratio;
      }
      found = fits_.emplace(row.gpu->name, std::move(fits)).first;
    }
    return found->second[fold_of(row)];
  }

  Seconds predicted(const KernelMeasurement& row) {
    if (row.kind() != KernelKind::kConvolution) {
      return predicted_time(row, scoring(row));
    }
    FittedKernels fitted = scoring(row);
    fitted.convolutions = without(fold_of(row));
    return predicted_time(row, fitted);
  }

  // How a row's prediction avoided the row, in words.
  std::string note(const KernelMeasurement& row) {
    if (row.kind() == KernelKind::kConvolution) {
      return convolution_note(row);
    }
    if (row.kind() == KernelKind::kGroupedGemm) {
      return "one constant chosen on these rows (kernels/grouped_gemm_model.cpp)";
    }
    const std::string& profile = scoring(row).calibration.name;
    const auto inputs = inputs_.try_emplace(profile, fit_inputs(profile)).first;
    const bool seen =
        inputs->second.contains(std::filesystem::path(row.file).filename().string()) && row.gpu->calibration == profile;
    return seen ? fmt::format("{} folds by shape", kFolds) : fmt::format("none, priced by {}", profile);
  }

 private:
  std::string convolution_note(const KernelMeasurement& row) {
    const std::vector<KernelMeasurement>& rows = convolutions();
    const std::string file = std::filesystem::path(row.file).filename().string();
    const ConvolutionUnits units = convolution_units(*row.gpu, std::get<Convolution>(row.work).precision);
    const bool seen = std::any_of(rows.begin(), rows.end(), [&](const KernelMeasurement& one) {
      return one.gpu_name == row.gpu_name && std::filesystem::path(one.file).filename() == file &&
             convolution_units(*one.gpu, std::get<Convolution>(one.work).precision) == units;
    });
    return seen ? fmt::format("{} folds by shape", kFolds) : "none, fitted on other GPUs";
  }

  const std::vector<KernelMeasurement>& convolutions() {
    if (!convolutions_) {
      convolutions_ = convolution_measurements();
    }
    return *convolutions_;
  }

  const FittedConvolutions& without(std::size_t fold) {
    const auto [entry, is_new] = without_.try_emplace(fold);
    if (is_new) {
      entry->second = fit_convolutions(convolutions(), fold);
    }
    return entry->second;
  }

  std::optional<std::vector<KernelMeasurement>> convolutions_;
  std::map<std::size_t, FittedConvolutions> without_;
  std::map<std::string, std::set<std::string>> inputs_;
  std::map<std::string, std::vector<FittedKernels>> fits_;
};

// A row's work in words of its magnitude, so that launch-bound and training-sized kernels are summed up apart.
std::string size_class(const KernelMeasurement& row) {
  if (row.kind() == KernelKind::kMemoryBound) {
    const double bytes = std::get<MeasuredMemoryBound>(row.work).work.traffic.value;
    return bytes < 1e6 ? "below 1 MB" : bytes < 1e8 ? "1 MB to 100 MB" : "above 100 MB";
  }
  const double flops = row.kind() == KernelKind::kGemm          ? std::get<Gemm>(row.work).flops().value
                       : row.kind() == KernelKind::kConvolution ? std::get<Convolution>(row.work).flops().value
                       : row.kind() == KernelKind::kGroupedGemm
                           ? std::get<MeasuredGroupedGemm>(row.work).work.flops().value
                           : std::get<MeasuredAttention>(row.work).work.flops().value;
  return flops < 1e9 ? "below 1 GFLOP" : flops < 1e11 ? "1 to 100 GFLOP" : "above 100 GFLOP";
}

struct Series {
  std::size_t rows = 0;
  std::vector<double> measured;
  std::vector<double> predicted;
};

Json error_json(const Series& series) {
  const ErrorSummary summary = summarize_errors(series.measured, series.predicted);
  return {{"rows", series.rows},
          {"simulated", summary.count},
          {"median_abs_error", number_or_null(summary.median_abs_error)},
          {"mean_abs_error", number_or_null(summary.mean_abs_error)},
          {"p90_abs_error", number_or_null(summary.p90_abs_error)},
          {"bias", number_or_null(summary.bias)},
          {"spearman", number_or_null(summary.spearman)}};
}

Json row_json(const KernelMeasurement& row, std::optional<Seconds> predicted, const std::string& fit) {
  Json out = {{"file", row.file}, {"id", row.id}, {"status", predicted ? "simulated" : "skipped"}};
  out["group"] = row.group;
  out["configuration"] = row.configuration;
  out["fit"] = fit.empty() ? Json(nullptr) : Json(fit);
  const bool has_time = row.measured > Seconds{};
  out["measured"] = has_time ? Json(row.measured.value) : Json(nullptr);
  out["predicted"] = predicted ? Json(predicted->value) : Json(nullptr);
  out["error"] = predicted ? Json(*predicted / row.measured - 1.0) : Json(nullptr);
  out["measured_memory_gb"] = nullptr;
  out["predicted_memory_gb"] = nullptr;
  out["reason"] = row.skipped.empty() ? Json(nullptr) : Json(row.skipped);
  return out;
}

struct FileScore {
  Series all;
  std::map<std::string, Series> groups;

  void add(const KernelMeasurement& row, std::optional<Seconds> predicted) {
    const std::string group = row.source == kSuiteSustained ? row.group + " sustained" : row.group;
    const std::string by_size = fmt::format("{}, {}", group, size_class(row));
    for (Series* series : {&all, &groups[group], &groups[by_size]}) {
      series->rows += 1;
      if (predicted) {
        series->measured.push_back(row.measured.value);
        series->predicted.push_back(predicted->value);
      }
    }
  }

  Json json(const std::string& file) const {
    Json out = {{"file", file}};
    out.update(error_json(all));
    out["assumed"] = 0;
    out["skipped"] = all.rows - all.measured.size();
    for (const char* key :
         {"regret_median", "regret_max", "memory_median_abs_error", "fit_accuracy", "oom_precision", "oom_recall"}) {
      out[key] = nullptr;
    }
    out["regret_groups"] = 0;
    Json by_group = Json::array();
    for (const auto& [name, series] : groups) {
      Json group = {{"group", name}};
      group.update(error_json(series));
      by_group.push_back(std::move(group));
    }
    out["by_group"] = std::move(by_group);
    return out;
  }
};

// The rows of a file that are to be scored as `kind`; grouped GEMMs are GEMMs.
std::vector<KernelMeasurement> rows_of(const std::string& file, KernelKind kind, const std::string& what,
                                       const GpuSpec* measured) {
  const bool suite = is_suite_output(file);
  if (suite && measured == nullptr) {
    throw UserError({.file = file,
                     .found = "output of the microbenchmark suite, which does not name a GPU of the catalogue",
                     .allowed = "such output with the GPU that it was measured on",
                     .problem = "nothing says which GPU's predictions to compare with",
                     .remedy = "name it with --gpu"});
  }
  std::vector<KernelMeasurement> rows = read_kernel_measurements({file}, measured);
  // A table of GEMMs may have those of experts among them.
  const auto other = [kind](const KernelMeasurement& row) {
    return row.kind() != kind && !(kind == KernelKind::kGemm && row.kind() == KernelKind::kGroupedGemm);
  };
  if (suite) {
    std::erase_if(rows, other);
  } else if (std::any_of(rows.begin(), rows.end(), other)) {
    throw UserError({.file = file, .problem = fmt::format("this is not a table of {} measurements", what)});
  }
  const auto of_another = std::find_if(rows.begin(), rows.end(), [measured](const KernelMeasurement& row) {
    return measured != nullptr && row.gpu_name != measured->name;
  });
  if (of_another != rows.end()) {
    throw UserError({.file = file,
                     .pointer = of_another->id,
                     .found = fmt::format("GPU \"{}\"", of_another->gpu_name),
                     .allowed = fmt::format("rows of {}, which --gpu names", measured->name),
                     .problem = "this table says itself which GPUs it was measured on",
                     .remedy = "leave --gpu out"});
  }
  return rows;
}

Json validate(KernelKind kind, const std::string& what, const std::vector<std::string>& files,
              const GpuSpec* measured) {
  Json result = {{"files", Json::array()}, {"rows", Json::array()}};
  Fits fits;
  std::map<std::string, std::size_t> skipped;
  for (const std::string& file : files) {
    FileScore score;
    for (KernelMeasurement& row : rows_of(file, kind, what, measured)) {
      std::optional<Seconds> predicted;
      std::string fit;
      if (row.skipped.empty()) {
        const FittedKernels& fitted = fits.scoring(row);
        const std::vector<std::string>& seen = fitted.calibration.derived_from;
        if (std::find(seen.begin(), seen.end(), row.id) != seen.end()) {
          row.skipped = "the GPU's profile was derived from this row";
        } else {
          predicted = fits.predicted(row);
          fit = fits.note(row);
        }
      }
      if (!predicted) {
        ++skipped[row.skipped];
      }
      score.add(row, predicted);
      result["rows"].push_back(row_json(row, predicted, fit));
    }
    result["files"].push_back(score.json(file));
  }
  result["skipped"] = reasons_json(skipped);
  return result;
}

std::string table_line(std::string_view name, const Json& summary) {
  return fmt::format(
      "{:<52} {:>6} {:>9} {:>8} {:>8} {:>8} {:>9}\n", name, summary.at("rows").get<std::size_t>(),
      summary.at("simulated").get<std::size_t>(), percent_text(summary.at("median_abs_error")),
      percent_text(summary.at("p90_abs_error")), percent_text(summary.at("bias")),
      summary.at("spearman").is_null() ? "-" : fmt::format("{:.3f}", summary.at("spearman").get<double>()));
}

}  // namespace

Json validate_gemm(const std::vector<std::string>& files, const GpuSpec* measured) {
  return validate(KernelKind::kGemm, "GEMM", files, measured);
}

Json validate_attention(const std::vector<std::string>& files, const GpuSpec* measured) {
  return validate(KernelKind::kAttention, "attention", files, measured);
}

Json validate_convolutions(const std::vector<std::string>& files, const GpuSpec* measured) {
  return validate(KernelKind::kConvolution, "convolution", files, measured);
}

Json validate_memory_bound(const std::vector<std::string>& files, const GpuSpec* measured) {
  return validate(KernelKind::kMemoryBound, "memory-bound kernel", files, measured);
}

std::string kernel_validation_text(const Json& result) {
  std::string text = fmt::format("{:<52} {:>6} {:>9} {:>8} {:>8} {:>8} {:>9}\n", "errors of kernel times", "rows",
                                 "simulated", "median", "p90", "bias", "rank corr");
  for (const Json& file : result.at("files")) {
    const std::string name = file.at("file").get<std::string>();
    text += table_line(name.substr(name.find_last_of('/') + 1), file);
    for (const Json& group : file.at("by_group")) {
      if (group.at("simulated") > 0) {  // the others' reasons stand below
        text += table_line("  " + group.at("group").get<std::string>(), group);
      }
    }
  }
  for (const Json& skipped : result.at("skipped")) {
    text +=
        fmt::format("skipped {}: {}\n", skipped.at("n").get<std::size_t>(), skipped.at("reason").get<std::string>());
  }
  return text;
}

}  // namespace trainyard
