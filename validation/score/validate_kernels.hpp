#pragma once
// Scoring the kernel models against benchmark tables. Every row is priced with parameters fitted without its shape.
#include <string>
#include <vector>

#include "kernels/gpu.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {

// Each takes tables of its kind, and the microbenchmark suite's output (.jsonl), of which it scores the rows of its
// kind. `measured` is the GPU of files that do not name one of the catalogue; null where every file does. Answers the
// result JSON of `validate`: {"files": [...], "rows": [...]}, errors as fractions, times in seconds, null where a
// figure does not apply. Rows that cannot be priced are counted as skipped and say why. GEMMs of the suite that were
// timed for seconds are a group of their own, priced at the GPU's sustained clock. Throws UserError for a file that is
// no table of that kind, and for suite output when `measured` is null.
Json validate_gemm(const std::vector<std::string>& files, const GpuSpec* measured);
Json validate_attention(const std::vector<std::string>& files, const GpuSpec* measured);
Json validate_convolutions(const std::vector<std::string>& files, const GpuSpec* measured);
Json validate_memory_bound(const std::vector<std::string>& files, const GpuSpec* measured);

// The summaries of such a result as a table for people.
std::string kernel_validation_text(const Json& result);

}  // namespace trainyard
