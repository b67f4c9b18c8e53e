#pragma once
// A layer as the residual branches that its kind has, each of blocks.
#include "models/blocks/description.hpp"

namespace trainyard {

void layer(Description& description);
Description layer_description(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                              const OperatorOptions& options);

}  // namespace trainyard
