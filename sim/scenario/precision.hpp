#pragma once
// The format that a step computes in: one that every GPU of the job has units for.
#include <span>
#include <string>
#include <vector>

#include "kernels/gpu.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {

// `training` may state "precision"; a stated format that a GPU lacks is refused with those that all have. Otherwise
// `usual`, or the widest-used one below it that all have (bf16, fp16, fp32 in this order), which is said in `notes`.
// Throws UserError.
Precision choose_precision(const JsonReader& training, Precision usual, std::span<const GpuSpec> gpus,
                           std::vector<std::string>& notes);

// A profile's 16-bit gradients are in the format that the step computes in.
Precision default_grad_dtype(Precision of_profile, Precision precision);

}  // namespace trainyard
