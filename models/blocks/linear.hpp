#pragma once
// A linear layer: its GEMMs, the collectives around them, its bias and its low-rank adapter.
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "models/blocks/description.hpp"

namespace trainyard {

enum class BiasAdded { kByLinear, kByNext };
// How its weight is spread over tensor-parallel ranks: by output columns, by input rows, or not at all.
enum class Cut { kColumns, kRows, kNone };

// A linear layer seen from one rank (of the whole layer: `in` of a column-parallel and `outputs` of a row-parallel one
// are not cut). `outputs` has one entry per GEMM: several when projections of the same input are
// not merged.
struct Linear {
  std::string_view name;
  std::int64_t in = 0;
  std::vector<std::int64_t> outputs;
  Presence bias = Presence::kAbsent;
  BiasAdded bias_added =
      BiasAdded::kByLinear;            // and its gradient reduced: by this linear, or by a fused kernel after it
  std::optional<Precision> precision;  // where it is not the shape's
  std::optional<Module> module{};      // the name by which it may have an adapter
  std::string_view adapter_kept{};     // the name of what that keeps
  Presence input_gradient = Presence::kPresent;  // absent where nothing before it trains

  std::int64_t out() const;
};

// A linear of `tokens` tokens, with its weights. Column-parallel ones work on the full tokens of a tensor-parallel
// group; `input` is what one rank keeps of them.
void linear(Description& description, const Linear& linear, Cut cut, std::int64_t tokens, const Tensor& input);
// The same without weights, for linears that are counted in ways of their own.
void linear_kernels(Description& description, const Linear& linear, Cut cut, std::int64_t tokens, const Tensor& input);

// The forward kernels of one that no rank shares, for inputs that need no gradient.
void local_linear_forward(OperatorList& list, const Linear& linear, std::int64_t tokens);

// A tensor as GEMMs of the shape's precision read it, with the scales of its blocks.
Bytes operand_element(const ShardContext& context);

}  // namespace trainyard
