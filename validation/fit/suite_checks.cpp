#include "validation/fit/suite_checks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "kernels/gemm_model.hpp"
#include "validation/tables/statistics.hpp"
#include "validation/tables/suite_records.hpp"

namespace trainyard {
namespace {

double in_thousandths(double value) {
  return std::round(value * 1e3) / 1e3;
}

// "gemm bf16 8192x8192x8192", as the suite names the load.
std::optional<Gemm> named_gemm(const std::string& name) {
  constexpr std::string_view kBefore = "gemm bf16 ";
  if (name.rfind(kBefore, 0) != 0) {
    return std::nullopt;
  }
  Gemm work;
  const char* at = name.data() + kBefore.size();
  const char* const end = name.data() + name.size();
  for (std::int64_t* extent : {&work.m, &work.n, &work.k}) {
    const auto [next, error] = std::from_chars(at, end, *extent);
    if (error != std::errc{} || *extent <= 0) {
      return std::nullopt;
    }
    at = next == end ? next : next + 1;
  }
  return work;
}

class Checks {
 public:
  Checks(const GpuSpec& gpu, const FittedKernels& fitted) : gpu_(gpu), fitted_(fitted) {}

  void take(const std::string& file) {
    const SuiteRecords records = read_suite(file, &gpu_);
    for (const KernelMeasurement& row : records.kernels) {
      if (row.skipped == kFrameworkKernel) {
        framework_[row.group.substr(row.gpu_name.size() + 1)].push_back(predicted_time(row, fitted_) / row.measured);
      }
      if (row.kind() == KernelKind::kConvolution) {
        ++convolutions_;
      }
      if (!row.skipped.empty()) {
        skipped_[row.skipped] = skipped_.value(row.skipped, 0) + 1;
      }
    }
    for (const Json& value : records.others) {
      const JsonReader record(value, file);
      const std::string kind = record.at("record").text();
      if (kind == "launch") {
        take_empty_kernel(record);
        launch_[fmt::format("{}, {} calls", record.at("what").text(), record.at("calls").integer(1, 1 << 30))] =
            record.at("time_s").at("median").number(0.0, 1e6);
      } else if (kind == "copy") {
        take_copy(record);
      } else if (kind == "overlap") {
        take_overlap(record);
      } else if (kind == "train_step" && record.find("time_s")) {
        take_step(record);
      }
    }
  }

  Json report() const {
    Json kernels = Json::object();
    for (const auto& [kernel, ratios] : framework_) {
      kernels[kernel] = {{"rows", ratios.size()}, {"predicted_over_measured", in_thousandths(*quantile(ratios, 0.5))}};
    }
    Json fixed_time = nullptr;
    if (least_fixed_time_) {
      fixed_time = {{"empty_kernel_s", least_fixed_time_->value},
                    {"fitted_s", fitted_.calibration.memory_bound.elementwise.fixed_time.value}};
    }
    return {{"framework_kernels", std::move(kernels)},
            {"fixed_time", std::move(fixed_time)},
            {"launch", launch_},
            {"host_copies", copies_},
            {"overlap", overlap_},
            {"train_steps", steps_},
            {"convolutions", convolutions_},
            {"skipped", skipped_}};
  }

 private:
  // A kernel that does nothing is the least that a kernel's fixed time can be.
  void take_empty_kernel(const JsonReader& record) {
    if (record.at("what").text() == "interval_of_dependent_empty_kernels_in_a_graph") {
      const Seconds measured{record.at("time_s").at("median").number(0.0, 1e6)};
      least_fixed_time_ = least_fixed_time_ ? std::min(*least_fixed_time_, measured) : measured;
    }
  }

  void take_copy(const JsonReader& record) {
    const std::string direction = record.at("direction").text();
    if (direction.find("host") == std::string::npos || !(gpu_.pcie_bandwidth > BytesPerSecond{})) {
      return;
    }
    const double rate = record.at("bytes").number(1.0, 1e15) / record.at("time_s").at("median").number(1e-9, 1e6);
    const double share = in_thousandths(rate / gpu_.pcie_bandwidth.value);
    copies_[direction] = std::max(copies_.value(direction, 0.0), share);
  }

  void take_overlap(const JsonReader& record) {
    const auto work = named_gemm(record.at("first").text());
    const auto blocks = record.find("blocks");
    const auto rate = record.find("second_beside_bytes_per_s");
    Json out = {{"first", record.at("first").text()},
                {"second", record.at("second").text()},
                {"measured", in_thousandths(record.at("first_slowdown").number(0.0, 1e6))},
                {"covered", record.at("covered").boolean()}};
    if (work && blocks && rate) {
      out["predicted"] = in_thousandths(overlap_slowdown(*work, gpu_, fitted_.calibration.gemm_for(work->precision),
                                                         static_cast<int>(blocks->integer(0, 1 << 16)),
                                                         BytesPerSecond{rate->number(0.0, 1e16)}));
    }
    overlap_.push_back(std::move(out));
  }

  void take_step(const JsonReader& record) {
    Json out = Json::object();
    for (const char* key : {"model", "layers", "seq_len", "micro_batch", "recipe", "layout", "launch", "recompute"}) {
      if (const auto value = record.find(key)) {
        out[key] = value->value();
      }
    }
    out["measured_s"] = record.at("time_s").at("median").number(0.0, 1e6);
    steps_.push_back(std::move(out));
  }

  const GpuSpec& gpu_;
  const FittedKernels& fitted_;
  std::map<std::string, std::vector<double>> framework_;
  std::optional<Seconds> least_fixed_time_;
  Json launch_ = Json::object();
  Json copies_ = Json::object();
  Json overlap_ = Json::array();
  Json steps_ = Json::array();
  Json skipped_ = Json::object();
  std::size_t convolutions_ = 0;  // which turn no parameter of a profile
};

}  // namespace

double overlap_slowdown(const Gemm& work, const GpuSpec& gpu, const GemmParameters& parameters, int multiprocessors,
                        BytesPerSecond traffic) {
  constexpr double kLeast = 0.05;  // of the memory's rate that a neighbour leaves
  const GpuShare share{.multiprocessors_held = std::min(multiprocessors, gpu.multiprocessors - 1),
                       .memory = std::max(kLeast, 1.0 - traffic / gpu.memory_bandwidth)};
  return gemm_time(work, gpu, parameters, 1.0, share) / gemm_time(work, gpu, parameters, 1.0);
}

Json suite_checks(const std::vector<std::string>& files, const GpuSpec& gpu, const FittedKernels& fitted) {
  Checks checks(gpu, fitted);
  bool any = false;
  for (const std::string& file : files) {
    if (is_suite_output(file)) {
      checks.take(file);
      any = true;
    }
  }
  return any ? checks.report() : Json(nullptr);
}

}  // namespace trainyard
