#include "sim/scenario/precision.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace trainyard {
namespace {

const GpuSpec* without(Precision precision, std::span<const GpuSpec> gpus) {
  const auto found =
      std::find_if(gpus.begin(), gpus.end(), [precision](const GpuSpec& gpu) { return !gpu.has_format(precision); });
  return found == gpus.end() ? nullptr : &*found;
}

std::vector<std::string> formats_of_all(std::span<const GpuSpec> gpus) {
  std::vector<std::string> names;
  for (const auto& [name, precision] : kPrecisionNames.rows) {
    if (without(precision, gpus) == nullptr) {
      names.emplace_back(name);
    }
  }
  return names;
}

}  // namespace

Precision choose_precision(const JsonReader& training, Precision usual, std::span<const GpuSpec> gpus,
                           std::vector<std::string>& notes) {
  if (const auto stated = training.find("precision")) {
    const Precision precision = stated->choice(kPrecisionNames);
    if (const GpuSpec* const gpu = without(precision, gpus)) {
      stated->fail(fmt::format("{} has no units for this format", gpu->name), join_names(formats_of_all(gpus)));
    }
    return precision;
  }
  const GpuSpec* const lacks = without(usual, gpus);
  if (lacks == nullptr) {
    return usual;
  }
  for (const Precision precision : {Precision::kBf16, Precision::kFp16}) {
    if (without(precision, gpus) == nullptr) {
      notes.push_back(fmt::format("precision {}: {} has no units for {}, the profile's own",
                                  kPrecisionNames.name_of(precision), lacks->name, kPrecisionNames.name_of(usual)));
      return precision;
    }
  }
  notes.push_back(fmt::format("precision fp32: {} has no units for {}, the profile's own", lacks->name,
                              kPrecisionNames.name_of(usual)));
  return Precision::kFp32;
}

Precision default_grad_dtype(Precision of_profile, Precision precision) {
  const bool both_half = bytes_per_element(of_profile) == bytes_per_element(Precision::kFp16) &&
                         bytes_per_element(precision) == bytes_per_element(Precision::kFp16);
  const bool is_single = bytes_per_element(precision) == bytes_per_element(Precision::kFp32);
  return both_half ? precision : is_single ? Precision::kFp32 : of_profile;
}

}  // namespace trainyard
