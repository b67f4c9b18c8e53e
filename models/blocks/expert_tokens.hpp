#pragma once
// The room's own: how many tokens a rank sends to experts, and how many its own experts work on.
#include <cstdint>
#include <vector>

#include "models/blocks/shard.hpp"

namespace trainyard {

struct ExpertTokens {
  std::int64_t own = 0;       // tokens that this rank routes
  std::int64_t copies = 0;    // of them, one for each expert that they visit
  double exchanged = 0.0;     // rows that the busiest rank of the expert group sends or receives
  std::int64_t received = 0;  // rows that this rank gets from the expert group
  std::int64_t computed = 0;  // rows that its experts work on: those of all ranks that share an expert's matrices
  std::vector<std::int64_t> per_expert;
  Bytes dispatch_element{};        // of one number on its way to the experts
  bool counts_known_late = false;  // sizes depend on the router's decision
};

ExpertTokens expert_tokens(const ModelSpec& model, const ShardShape& shape);
inline ExpertTokens expert_tokens(const ShardContext& context) {
  return expert_tokens(context.model(), context.shape());
}

}  // namespace trainyard
