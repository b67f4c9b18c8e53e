#pragma once
// Calibration profiles: fitted parameters of the kernel models, one JSON file per GPU in kernels/calibration.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/attention_model.hpp"
#include "kernels/gemm_model.hpp"
#include "kernels/memory_bound_model.hpp"

namespace trainyard {

// Operand formats that one set of parameters serves.
enum class PrecisionFamily { kHalf, kFp8, kFp8Block, kFp4, kTf32, kFp32 };
inline constexpr NameTable<PrecisionFamily, 6> kPrecisionFamilyNames{{{{"half", PrecisionFamily::kHalf},
                                                                       {"fp8", PrecisionFamily::kFp8},
                                                                       {"fp8_block", PrecisionFamily::kFp8Block},
                                                                       {"fp4", PrecisionFamily::kFp4},
                                                                       {"tf32", PrecisionFamily::kTf32},
                                                                       {"fp32", PrecisionFamily::kFp32}}}};
PrecisionFamily family_of(Precision precision);

struct AttentionCalibration {
  AttentionParameters forward;
  AttentionParameters backward;
};

// Kernels that sweep once over their operands, and kernels that reduce to a few numbers first.
struct MemoryBoundCalibration {
  MemoryBoundParameters elementwise;
  MemoryBoundParameters reduction;
};

struct KernelCalibration {
  std::string name;
  std::string architecture;
  std::map<PrecisionFamily, GemmParameters> gemm;
  // By the name of the fused kernel ("FlashAttention-2", ...), then by family.
  std::map<std::string, std::map<PrecisionFamily, AttentionCalibration>> attention;
  std::map<PrecisionFamily, std::string> default_attention;
  MemoryBoundCalibration memory_bound;
  // Ids of published rows that a hand-made profile was derived from: it cannot be scored on them.
  std::vector<std::string> derived_from;

  // The parameters of the nearest family that the profile has. An implementation it does not have, and the empty name,
  // mean the default one.
  const GemmParameters& gemm_for(Precision precision) const;
  const AttentionCalibration& attention_for(Precision precision, std::string_view implementation) const;
};

// A profile inside a JSON document; throws UserError when it is none.
KernelCalibration parse_calibration(const JsonReader& reader);
Json to_json(const KernelCalibration& calibration);

inline constexpr std::string_view kCalibrationFolder = "kernels/calibration";

// What prices GPUs of which nothing was ever measured: the profile of the most measurements.
inline constexpr std::string_view kMostMeasured = "a100-80";

// Whether a profile prices the GPU's kernels that rests on GPUs of its kind: its entry names one, or one is of its
// architecture.
bool is_measured(const GpuSpec& gpu);

// The profile that prices a GPU's kernels: the one its entry names, else the alphabetically first of its architecture,
// else kMostMeasured. Of a GPU that is not measured the operands reach a multiprocessor in proportion to what it
// computes per cycle, as they do where the profile was measured: a TPU's core does the work of fifty SMs.
KernelCalibration calibration_for(const GpuSpec& gpu);

// The text at `name`, an attention kernel that some GPU's calibration has measured. Throws UserError that lists them.
std::string measured_attention_kernel(const JsonReader& name);

}  // namespace trainyard
