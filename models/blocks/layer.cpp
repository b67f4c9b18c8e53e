#include "models/blocks/layer.hpp"

#include <array>
#include <optional>
#include <string_view>

#include "models/blocks/blocks.hpp"
#include "models/blocks/linear.hpp"
#include "models/blocks/network.hpp"
#include "models/blocks/norm.hpp"
#include "models/blocks/residual.hpp"

namespace trainyard {
namespace {

bool always(const ShardContext&) {
  return true;
}

bool has_experts(const ShardContext& context) {
  return context.kind().feed_forward == FeedForward::kExperts;
}

// One branch of the residual stream: norm, block, norm, and back with bias, dropout and residual.
struct Branch {
  bool (*is_in_layer)(const ShardContext&);
  Presence (*block)(Description&, const Tensor& input);
  bool (*has_norm)(const ShardContext&);  // without it the block reads what the branch before has read, or the stream
  std::string_view norm;
  std::string_view norm_input;  // what is kept, under which names
  std::string_view input;
  std::optional<RecomputeModule> norm_repeated_by;
  std::string_view post_norm;  // none: the branch never has one
  std::string_view post_norm_input;
  std::string_view dropout_mask;
};

// Experts stand where the MLP of a dense layer stands, between the same norms.
constexpr Branch feed_forward(bool (*is_in_layer)(const ShardContext&),
                              Presence (*block)(Description&, const Tensor&)) {
  return {.is_in_layer = is_in_layer,
          .block = block,
          .has_norm = [](const ShardContext& context) { return context.model().has_mlp_norm(); },
          .norm = "mlp_norm",
          .norm_input = "mlp_norm_input",
          .input = "mlp_up_input",
          .norm_repeated_by = RecomputeModule::kNorm,
          .post_norm = "mlp_post_norm",
          .post_norm_input = "mlp_post_norm_input",
          .dropout_mask = "mlp_dropout_mask"};
}

// Every kind of layer, in the order of the forward pass.
constexpr std::array kBranches = {
    Branch{.is_in_layer = always,
           .block = attention,
           .has_norm = [](const ShardContext& context) { return context.model().has_attention_norm(); },
           .norm = "attention_norm",
           .norm_input = "attention_norm_input",
           .input = "qkv_input",
           .norm_repeated_by = RecomputeModule::kNorm,
           .post_norm = "attention_post_norm",
           .post_norm_input = "attention_post_norm_input",
           .dropout_mask = "attention_output_dropout_mask"},
    Branch{.is_in_layer = [](const ShardContext& context) { return context.kind().stack == Stack::kDecoder; },
           .block = cross_attention,
           .has_norm = always,
           .norm = "cross_norm",
           .norm_input = "cross_norm_input",
           .input = "cross_query_input",
           .norm_repeated_by = std::nullopt,
           .post_norm = {},
           .post_norm_input = {},
           .dropout_mask = "cross_output_dropout_mask"},
    feed_forward([](const ShardContext& context) { return !has_experts(context); }, mlp),
    feed_forward(has_experts, experts),
};

// What the branch's block reads. Side by side with attention a block reads what that one's projections read.
Tensor normed_input(Description& description, const Branch& branch, const std::optional<Tensor>& side_by_side) {
  const auto output = [&] {
    return description.written(branch.input, description.hidden_shard(), operand_element(description));
  };
  if (!branch.has_norm(description)) {
    return side_by_side.value_or(output());
  }
  std::optional<Description::Scope> scope;
  if (branch.norm_repeated_by) {
    scope.emplace(description, *branch.norm_repeated_by);
  }
  hidden_norm(description, branch.norm, branch.norm_input);
  return output();
}

}  // namespace

void layer(Description& description) {
  const ModelSpec& model = description.model();
  if (model.network) {
    network_unit(description);
    return;
  }
  description.set_input(
      {.name = "layer_input", .elements = description.hidden_shard(), .element = description.residual_element()});
  std::optional<Tensor> side_by_side;
  for (const Branch& branch : kBranches) {
    if (!branch.is_in_layer(description)) {
      continue;
    }
    branch_off(description);
    const Tensor input = normed_input(description, branch, side_by_side);
    if (model.parallel_block == Presence::kPresent && !side_by_side) {
      side_by_side = input;
    }
    const Presence bias = branch.block(description, input);
    if (model.post_norms == Presence::kPresent && !branch.post_norm.empty()) {
      hidden_norm(description, branch.post_norm, branch.post_norm_input);
    }
    bias_dropout_add(description, bias, branch.dropout_mask);
  }
  description.keep_cast_weights();
}

Description layer_description(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                              const OperatorOptions& options) {
  Description description(ShardContext(model, shape, options, kind));
  layer(description);
  return description;
}

std::vector<Operator> layer_forward(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                    const OperatorOptions& options) {
  return layer_description(model, kind, shape, options).forward();
}

std::vector<Operator> layer_backward(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                     const OperatorOptions& options) {
  return layer_description(model, kind, shape, options).backward();
}

std::vector<Operator> layer_recompute(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                      const OperatorOptions& options, const RecomputePlan& plan) {
  return layer_description(model, kind, shape, options).repeated(plan);
}

std::vector<ActivationTerm> activation_bytes(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                                             const OperatorOptions& options, const RecomputePlan& recompute) {
  return layer_description(model, kind, shape, options).kept(recompute);
}

Bytes weight_gradient_bytes(const ModelSpec& model, const LayerKind& kind, const ShardShape& shape,
                            const OperatorOptions& options) {
  return layer_description(model, kind, shape, options).kept_for_weights();
}

}  // namespace trainyard
