#pragma once
// Scoring the kernel models against benchmark tables. Every row is priced with parameters fitted without its shape.
#include <string>
#include <vector>

#include "sim/base/json_reader.hpp"

namespace trainyard {

// Each takes tables of its kind and answers the result JSON of `validate`: {"files": [...], "rows": [...]}, errors as
// fractions, times in seconds, null where a figure does not apply. Rows that cannot be priced are counted as skipped
// and say why. Throws UserError for a file that is no table of that kind.
Json validate_gemm(const std::vector<std::string>& files);
Json validate_attention(const std::vector<std::string>& files);
Json validate_memory_bound(const std::vector<std::string>& files);

// The summaries of such a result as a table for people.
std::string kernel_validation_text(const Json& result);

}  // namespace trainyard
