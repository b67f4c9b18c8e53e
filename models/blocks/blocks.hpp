#pragma once
// The blocks of a layer. Each reads `input` and leaves its output to the residual stream; what it returns is the bias
// of its last linear that a fused kernel adds there.
#include "models/blocks/description.hpp"

namespace trainyard {

Presence attention(Description& description, const Tensor& input);
Presence cross_attention(Description& description, const Tensor& input);
Presence mlp(Description& description, const Tensor& input);
Presence experts(Description& description, const Tensor& input);

}  // namespace trainyard
