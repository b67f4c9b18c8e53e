#pragma once
// LayerNorm and RMSNorm.
#include <cstdint>
#include <string_view>

#include "models/blocks/description.hpp"

namespace trainyard {

// Over `width` channels of each of `rows`.
struct Norm {
  std::string_view name;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  AcrossRanks across = AcrossRanks::kAlikeOverTokens;
};

// With its weights. `input` is kept.
void norm(Description& description, const Norm& norm, const Tensor& input);
// The same without weights.
void norm_kernels(Description& description, const Norm& norm, const Tensor& input);
// `count` alike.
void norm_weights(Description& description, const Norm& norm, std::int64_t count = 1,
                  CountedWith counted = CountedWith::kModel);

// Over the hidden size, of this rank's tokens. Its input is of the residual stream, and is kept under `kept`.
void hidden_norm(Description& description, std::string_view name, std::string_view kept);
Norm of_hidden(const ShardContext& context, std::string_view name);
Tensor hidden_norm_input(const Description& description, std::string_view kept);

}  // namespace trainyard
