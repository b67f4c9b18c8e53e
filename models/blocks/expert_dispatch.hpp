#pragma once
// The way of tokens to their experts and back. Backward it is that of their gradients, the other way round.
#include <functional>

#include "models/blocks/expert_tokens.hpp"
#include "models/blocks/operator_list.hpp"

namespace trainyard {

// To the experts, or the gradients of their outputs back to them. What `beside` adds, if anything, runs beside the
// exchange.
void send_to_experts(OperatorList& list, Pass pass, const ExpertTokens& tokens,
                     const std::function<void(OperatorList&)>& beside);
void return_from_experts(OperatorList& list, Pass pass, const ExpertTokens& tokens);

}  // namespace trainyard
