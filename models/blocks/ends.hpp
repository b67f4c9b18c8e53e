#pragma once
// What stands before the first layer and after the last.
#include <vector>

#include "models/blocks/description.hpp"

namespace trainyard {

// One description for each stack that embeds tokens of its own: encoder and decoder, or the only one. They run, and
// their gradients too, in this order.
std::vector<Description> embedding_descriptions(const ModelSpec& model, const ShardShape& shape,
                                                const OperatorOptions& options);
Description head_description(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options);

// Vocabulary-parallel logits and loss: of the head, and of every module of multi-token prediction.
void logits(Description& description);
// The modules of multi-token prediction.
void predicted_tokens(Description& description);

}  // namespace trainyard
