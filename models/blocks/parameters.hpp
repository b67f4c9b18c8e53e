#pragma once
// Weights as one rank holds them, from which parameters, shares and FLOPs are summed.
#include <vector>

#include "models/blocks/description.hpp"

namespace trainyard {

std::vector<Weight> layer_weights(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape);
std::vector<Weight> embedding_weights(const ModelSpec& model, const ShardShape& shape);
std::vector<Weight> head_weights(const ModelSpec& model, const ShardShape& shape);

}  // namespace trainyard
