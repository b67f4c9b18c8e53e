#pragma once
// A branch of the residual stream: what is read from it, and how the branch's output joins it.
#include <string_view>

#include "models/blocks/linear.hpp"

namespace trainyard {

// A branch begins: backward, its gradient is added to the stream's.
void branch_off(Description& description);
// Bias (of the linear before, where a fused kernel adds it), dropout and residual; the dropout's mask is kept under
// `mask`.
void bias_dropout_add(Description& description, Presence bias, std::string_view mask);
// Whose kernel adds the bias after a row-parallel linear.
BiasAdded bias_added_after_row(const ShardContext& context);

}  // namespace trainyard
