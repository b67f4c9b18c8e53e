#pragma once
// The room's own: the weights of a layer as one rank holds them, from which parameters, shares and FLOPs are summed.
#include <cstdint>
#include <vector>

#include "models/operators.hpp"

namespace trainyard {

enum class Owner { kShared, kExperts };  // experts' weights have fewer copies
enum class Training { kBase, kAdapter };
// What tensor-parallel ranks hold of a weight: a part each, or all of it. Of what they hold alike they see a part of
// the tokens only with sequence parallelism, a part of the heads always.
enum class AcrossRanks { kCut, kAlikeOverTokens, kAlikeOverHeads };

// Matrices, or vectors, of one role.
struct Weight {
  std::int64_t elements = 0;
  // Of elements, those that multiply one token's numbers: all of a matrix, none of a norm or a bias, the visited share
  // of routed experts.
  double multiplied = 0.0;
  Owner owner = Owner::kShared;
  Training training = Training::kBase;
  AcrossRanks across = AcrossRanks::kCut;
  std::int64_t tensors = 1;
};

std::vector<Weight> layer_weights(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape);

// Numbers in a norm of `width` channels.
std::int64_t norm_elements(const ModelSpec& model, std::int64_t width);

}  // namespace trainyard
