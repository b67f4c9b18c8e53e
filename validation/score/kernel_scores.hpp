#pragma once
// The scoreboard's sections on kernels: GEMM, attention, kernels bound by memory.
#include "validation/score/score_section.hpp"

namespace trainyard {

// From what validate_gemm and its like answer: a score for each table and group (GPU and operand format, kernel).
ScoreSection score_kernel_tables(const std::string& name, const Json& validation);

}  // namespace trainyard
