#include "validation/fit/kernel_fitter.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <set>

#include "validation/fit/minimise.hpp"

namespace trainyard {
namespace {

using Rows = MeasurementRows;

constexpr std::size_t kSecondOrderRows = 200;     // fewer rows cannot tell splits from overlap
constexpr std::size_t kManyRows = 100;            // from here every parameter is free
constexpr std::size_t kManyMemoryBoundRows = 50;  // likewise: ten for each of its five parameters
constexpr std::size_t kMostRows = 1500;           // a fit reads at most so many rows; every row is scored
constexpr Seconds kShortKernel{200e-6};
constexpr int kStarts = 3;
constexpr int kEvaluations = 1000;

// Backward over forward share of the peak, where no backward row says it. Source: FlashAttention-2 (arXiv 2307.08691),
// section 4.1: up to 63 % of the A100's peak backward and 73 % forward.
constexpr double kBackwardEfficiency = 63.0 / 73.0;

// Absolute log error, quadratic below two per cent so that the minimiser sees a smooth floor.
double loss_of(Seconds predicted, Seconds measured) {
  constexpr double kSmooth = 0.02;
  const double error = std::abs(std::log(predicted / measured));
  return error < kSmooth ? error * error / (2.0 * kSmooth) + kSmooth / 2.0 : error;
}

// Long kernels decide the time of a training step: a row's weight grows by one for every factor of ten beyond 10 us.
double weight_of(Seconds measured) {
  return 1.0 + std::log10(std::max(1.0, measured / Seconds{10e-6}));
}

// Every so many rows, so that at most kMostRows remain.
Rows thinned(const Rows& rows) {
  const std::size_t stride = (rows.size() + kMostRows - 1) / kMostRows;
  Rows out;
  for (std::size_t i = 0; i < rows.size(); i += std::max<std::size_t>(stride, 1)) {
    out.push_back(rows[i]);
  }
  return out;
}

double mean_loss(const Rows& rows, const std::function<Seconds(std::size_t)>& predict) {
  double total = 0.0;
  double weights = 0.0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const double weight = weight_of(rows[i]->measured);
    total += weight * loss_of(predict(i), rows[i]->measured);
    weights += weight;
  }
  return total / weights;
}

template <class P>
Knob knob_for(const ParameterField<P>& field, P& parameters) {
  return {.smallest = field.smallest,
          .largest = field.largest,
          .start = field.start,
          .set = [&field, &parameters](double value) { field.set(parameters, value); }};
}

class Fitter {
 public:
  Fitter(FittedKernels start, const std::map<std::string, Harness>& harnesses)
      : fitted_(std::move(start)), harnesses_(harnesses) {}

  FittedKernels fit(const Rows& rows) {
    constexpr std::array<PrecisionFamily, 6> kOrder = {PrecisionFamily::kHalf,     PrecisionFamily::kTf32,
                                                       PrecisionFamily::kFp32,     PrecisionFamily::kFp8,
                                                       PrecisionFamily::kFp8Block, PrecisionFamily::kFp4};
    for (const PrecisionFamily family : kOrder) {
      fit_gemm(family, selected(rows, KernelKind::kGemm,
                                [&](const KernelMeasurement& row) { return family_of(row) == family; }));
    }
    std::set<std::pair<std::string, PrecisionFamily>> attention;
    for (const KernelMeasurement* row : rows) {
      if (const auto* measured = std::get_if<MeasuredAttention>(&row->work)) {
        attention.insert({measured->kernel, family_of(*row)});
      }
    }
    // Named once more because clang 14 cannot capture structured bindings.
    for (const auto& measured : attention) {
      const std::string& kernel = measured.first;
      const PrecisionFamily family = measured.second;
      fit_attention(kernel, family, selected(rows, KernelKind::kAttention, [&](const KernelMeasurement& row) {
                      return family_of(row) == family && std::get<MeasuredAttention>(row.work).kernel == kernel;
                    }));
    }
    for (const MemoryBoundKind kind : {MemoryBoundKind::kElementwise, MemoryBoundKind::kReduction}) {
      fit_memory_bound(kind, selected(rows, KernelKind::kMemoryBound, [&](const KernelMeasurement& row) {
                         return std::get<MeasuredMemoryBound>(row.work).kind == kind;
                       }));
    }
    return std::move(fitted_);
  }

 private:
  static Rows selected(const Rows& rows, KernelKind kind, const std::function<bool(const KernelMeasurement&)>& wanted) {
    Rows out;
    for (const KernelMeasurement* row : rows) {
      if (row->kind() == kind && wanted(*row)) {
        out.push_back(row);
      }
    }
    return thinned(out);
  }

  // Harness parameters can be told from the GPU's only where another source measures the same family.
  std::vector<Knob> harness_knobs(PrecisionFamily family, const std::map<std::string, std::size_t>& sources,
                                  bool& fixed_time_free) {
    std::vector<Knob> knobs;
    for (const auto& measured : sources) {
      const std::string& source = measured.first;
      const bool alone = std::none_of(sources.begin(), sources.end(), [&](const auto& other) {
        return other.first != source && other.second >= kFewestRows;
      });
      const auto harness = harnesses_.find(source);
      if (harness == harnesses_.end() || harness->second.free.find(family) == harness->second.free.end()) {
        continue;
      }
      HarnessParameters& parameters = fitted_.harnesses[{source, family}];
      for (const std::string& name : harness->second.free.at(family)) {
        for (const ParameterField<HarnessParameters>& field : harness_parameter_fields()) {
          if (field.name != name) {
            continue;
          }
          if (alone && name == "clock_ratio") {
            continue;
          }
          if (alone && name == "extra_time") {
            if (family == PrecisionFamily::kHalf) {
              continue;
            }
            fixed_time_free = false;
          }
          knobs.push_back(knob_for(field, parameters));
        }
      }
    }
    return knobs;
  }

  void fit_gemm(PrecisionFamily family, const Rows& rows) {
    if (rows.size() < kFewestRows) {
      return;
    }
    std::map<std::string, std::size_t> sources;
    std::vector<std::vector<GemmPlan>> plans;
    std::vector<FlopsPerSecond> peaks;
    for (const KernelMeasurement* row : rows) {
      const Gemm& work = std::get<Gemm>(row->work);
      ++sources[row->source];
      plans.push_back(gemm_plans(work, row->gpu->multiprocessors));
      peaks.push_back(row->gpu->peak_for(work.precision));
    }
    bool fixed_time_free = true;
    std::vector<Knob> knobs = harness_knobs(family, sources, fixed_time_free);
    const bool has_half = fitted_.calibration.gemm.find(PrecisionFamily::kHalf) != fitted_.calibration.gemm.end();
    // A family that is new to the profile starts from the nearest one.
    const GemmParameters nearest = fitted_.calibration.gemm_for(std::get<Gemm>(rows.front()->work).precision);
    GemmParameters& parameters = fitted_.calibration.gemm.try_emplace(family, nearest).first->second;
    if (has_half && !fixed_time_free) {
      parameters.fixed_time = fitted_.calibration.gemm.at(PrecisionFamily::kHalf).fixed_time;
    }
    // Tables of hardly anything but long kernels say nothing about fixed times, splits and memory.
    const auto short_rows = std::count_if(rows.begin(), rows.end(),
                                          [](const KernelMeasurement* row) { return row->measured < kShortKernel; });
    const bool has_short = static_cast<std::size_t>(short_rows) * 10 >= rows.size();
    for (const ParameterField<GemmParameters>& field : gemm_parameter_fields()) {
      const bool arithmetic =
          field.name == "tensor_efficiency" || field.name == "operand_load" || field.name == "power_ceiling";
      const bool tied = field.name == "fixed_time" && has_half && !fixed_time_free;
      const bool second_order = field.name == "split_traffic" || field.name == "overlap" || field.name == "split_time";
      if (second_order && has_short && rows.size() < kSecondOrderRows) {
        field.set(parameters, field.start);
      } else if (!tied && (has_short || arithmetic)) {
        knobs.push_back(knob_for(field, parameters));
      }
    }
    minimise(
        knobs,
        [&] {
          std::map<std::string, HarnessParameters> by_source;
          for (const auto& [source, count] : sources) {
            by_source[source] = harness_for(fitted_.harnesses, source, family);
          }
          return mean_loss(rows, [&](std::size_t i) {
            return predicted_gemm_time(*rows[i], plans[i], peaks[i], parameters, by_source.at(rows[i]->source));
          });
        },
        kStarts, kEvaluations);
  }

  void fit_attention(const std::string& kernel, PrecisionFamily family, const Rows& rows) {
    if (rows.size() < kFewestRows) {
      return;
    }
    const auto count = [&](AttentionPass pass) {
      return std::count_if(rows.begin(), rows.end(), [&](const KernelMeasurement* row) {
        return std::get<MeasuredAttention>(row->work).pass == pass;
      });
    };
    const bool both =
        count(AttentionPass::kForward) > 0 && count(AttentionPass::kBoth) + count(AttentionPass::kBackward) > 0;
    AttentionCalibration& directions = fitted_.calibration.attention[kernel][family];
    double backward_efficiency = kBackwardEfficiency;
    std::vector<Knob> knobs;
    for (const ParameterField<AttentionParameters>& field : attention_parameter_fields()) {
      field.set(directions.forward, field.start);
      // The benchmarks of fused kernels keep batch x sequence large, which hides everything but the arithmetic.
      const bool arithmetic =
          field.name == "tensor_efficiency" || field.name == "softmax_depth" || field.name == "fill_rows";
      if (arithmetic || rows.size() >= kManyRows) {
        knobs.push_back(knob_for(field, directions.forward));
      }
    }
    if (both) {
      knobs.push_back({.smallest = 0.4, .largest = 1.2, .start = kBackwardEfficiency, .set = [&](double value) {
                         backward_efficiency = value;
                       }});
    }
    minimise(
        knobs,
        [&] {
          directions.backward = directions.forward;
          directions.backward.tensor_efficiency *= backward_efficiency;
          return mean_loss(rows, [&](std::size_t i) { return predicted_time(*rows[i], fitted_); });
        },
        kStarts, kEvaluations);
  }

  void fit_memory_bound(MemoryBoundKind kind, const Rows& rows) {
    if (rows.size() < kFewestMemoryBoundRows) {
      return;
    }
    MemoryBoundCalibration& calibration = fitted_.calibration.memory_bound;
    MemoryBoundParameters& parameters =
        kind == MemoryBoundKind::kReduction ? calibration.reduction : calibration.elementwise;
    std::vector<Knob> knobs;
    for (const ParameterField<MemoryBoundParameters>& field : memory_bound_parameter_fields()) {
      if (field.name == "memory_efficiency" || rows.size() >= kManyMemoryBoundRows) {
        knobs.push_back(knob_for(field, parameters));
      }
    }
    minimise(
        knobs, [&] { return mean_loss(rows, [&](std::size_t i) { return predicted_time(*rows[i], fitted_); }); },
        kStarts, kEvaluations);
  }

  FittedKernels fitted_;
  const std::map<std::string, Harness>& harnesses_;
};

}  // namespace

FittedKernels fit_to_rows(const MeasurementRows& rows, FittedKernels start,
                          const std::map<std::string, Harness>& harnesses) {
  return Fitter(std::move(start), harnesses).fit(rows);
}

}  // namespace trainyard
