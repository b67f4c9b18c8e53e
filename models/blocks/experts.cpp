// A mixture of experts in place of the MLP: router, dispatch, experts, combine, and the shared experts beside them.
// Source: Megatron-LM, core/transformer/moe (moe_layer.py, router.py, token_dispatcher.py, experts.py,
// shared_experts.py).
#include <memory>

#include "models/blocks/blocks.hpp"
#include "models/blocks/expert_dispatch.hpp"
#include "models/blocks/linear.hpp"
#include "models/blocks/mlp.hpp"

namespace trainyard {
namespace {

const Experts& experts_of(const ShardContext& context) {
  return *context.model().experts;
}

bool has_shared(const ShardContext& context) {
  return experts_of(context).shared_ffn > 0;
}

std::int64_t expert_width(const ShardContext& context) {
  return divide_up(experts_of(context).ffn, context.shape().expert_tp);
}

std::int64_t up_width(const ShardContext& context) {
  return (context.model().gated() ? 2 : 1) * expert_width(context);
}

// What a linear of the routed experts writes beyond what its GEMM counts, for each of `elements`.
Bytes extra_output(const ShardContext& context, Bytes moved, std::int64_t elements) {
  return static_cast<double>(elements) * max(moved - bytes_per_element(context.shape().precision), Bytes{});
}

// One kernel for all experts, or one GEMM after the other.
void expert_gemm(OperatorList& list, std::string_view name, Pass pass, GroupedGemm work) {
  work.precision = list.shape().precision;
  if (list.options().grouped_gemm == Fusion::kOn) {
    list.grouped_gemm(name, pass, work);
    return;
  }
  const auto groups = static_cast<double>(work.tokens.size());
  for (const std::int64_t tokens : work.tokens) {
    if (tokens > 0) {
      const bool by_rows = work.by == GroupedBy::kRows;
      list.gemm(name, pass,
                {.m = by_rows ? tokens : work.n,
                 .n = by_rows ? work.n : work.k,
                 .k = by_rows ? work.k : tokens,
                 .precision = work.precision,
                 .extra_traffic = work.extra_traffic / groups});
    }
  }
}

// Steps share the counts: there may be hundreds of experts.
using SharedTokens = std::shared_ptr<const ExpertTokens>;

// A linear [in, out] of every expert of this rank.
struct ExpertLinear {
  std::string_view name;
  std::int64_t in = 0;
  std::int64_t out = 0;
};

// Rows of `from` times the matrix, or its transpose: rows of `to`.
void multiply(OperatorList& list, std::string_view name, Pass pass, const ExpertTokens& tokens, std::int64_t from,
              std::int64_t to) {
  list.quantize(list.shape().precision, tokens.computed * from, pass);
  expert_gemm(list, name, pass,
              {.tokens = tokens.per_expert,
               .n = to,
               .k = from,
               .extra_traffic = extra_output(list, list.element(), tokens.computed * to)});
}

// The gradient of every expert's matrix, accumulated as the dense linears' are.
void expert_wgrad(OperatorList& list, const ExpertLinear& linear, const ExpertTokens& tokens) {
  const bool buffer = list.options().gradient_buffer == Presence::kPresent;
  const bool in_epilogue = buffer && list.options().wgrad_accumulation == Fusion::kOn;
  const auto local = static_cast<std::int64_t>(tokens.per_expert.size());
  const Bytes moved = in_epilogue ? 2.0 * list.shape().gradient_element : list.element();
  expert_gemm(list, linear.name, Pass::kWgrad,
              {.tokens = tokens.per_expert,
               .n = linear.out,
               .k = linear.in,
               .by = GroupedBy::kDepth,
               .extra_traffic = extra_output(list, moved, local * linear.in * linear.out)});
  if (!in_epilogue) {
    list.accumulate_gradient(local * linear.in * linear.out);
  }
  if (experts_of(list).expert_bias == Presence::kPresent) {
    list.elementwise("bias_gradient", Pass::kWgrad, tokens.computed * linear.out, list.element());
    list.accumulate_gradient(local * linear.out);
  }
}

// Routed experts have no adapters: of a frozen base they keep nothing.
void expert_linear(Description& description, const ExpertLinear& linear, const SharedTokens& tokens,
                   const Tensor& input) {
  if (tokens->computed > 0) {
    description.step(
        {.forward =
             [=](OperatorList& list) { multiply(list, linear.name, Pass::kForward, *tokens, linear.in, linear.out); },
         .backward =
             [=](OperatorList& list) {
               multiply(list, linear.name, Pass::kDgrad, *tokens, linear.out, linear.in);
               expert_wgrad(list, linear, *tokens);
             }});
  }
  if (!description.model().adapters) {
    description.keep_for_weights(input, tokens->computed * linear.out);
  }
  const Experts& experts = experts_of(description);
  const std::int64_t local = divide_up(experts.count, description.shape().ep);
  description.weight({.elements = local * linear.in * linear.out,
                      .multiplied = static_cast<double>(experts.per_token * linear.in * linear.out),
                      .tokens = tokens->own,
                      .owner = Owner::kExperts,
                      .tensors = local,
                      .rows = linear.out});
  if (experts.expert_bias == Presence::kPresent) {
    description.weight({.elements = local * linear.out, .owner = Owner::kExperts});
  }
}

// Megatron applies a token's weight within the activation, so that the down projection's output need not be kept. The
// gradient of that weight is a sum over the activation that it scaled.
void token_weights(Description& description, const SharedTokens& tokens) {
  const std::int64_t elements = tokens->computed * expert_width(description);
  description.step({.forward = {}, .backward = [=](OperatorList& list) {
                      list.elementwise("expert_weight_gradient", Pass::kDgrad, elements, 2.0 * list.element());
                    }});
}

void routed_experts(Description& description, const SharedTokens& tokens) {
  const std::int64_t hidden = description.model().hidden;
  const std::int64_t inner = tokens->computed * up_width(description);
  expert_linear(description, {.name = "experts_up", .in = hidden, .out = up_width(description)}, tokens,
                description.written("expert_input", tokens->computed * hidden, operand_element(description)));
  description.keep("expert_activation_input", inner, description.element());
  Tensor activated;
  if (tokens->computed > 0) {
    const auto scope = description.repeated_by(RecomputeModule::kActivation);
    activated = activation(description,
                           {.rows = tokens->computed,
                            .width = expert_width(description),
                            .input = "expert_activation_input",
                            .gate = "expert_gate_output"},
                           "expert_down_input");
    token_weights(description, tokens);
  }
  expert_linear(description, {.name = "experts_down", .in = expert_width(description), .out = hidden}, tokens,
                activated);
}

void router(Description& description, const Tensor& input) {
  const Experts& experts = experts_of(description);
  const std::int64_t rows = description.shard().token_shard;
  linear(description,
         {.name = "router",
          .in = description.model().hidden,
          .outputs = {experts.count},
          .bias = experts.router_bias,
          .precision = description.wide_precision()},
         Cut::kNone, rows, input);
  // Cast, softmax, top-k, scatter of probabilities and of the map; the load-balancing loss: mean of the scores, tokens
  // per expert, product. Backward: those that carry a gradient. What one of the statements reads and writes is a number
  // per token and expert.
  const std::int64_t elements = rows * experts.count;
  const bool fused = description.options().router == Fusion::kOn;
  description.step(
      {.forward = [=](OperatorList& list) { list.small("routing", Pass::kForward, elements, fused ? 2 : 8); },
       .backward = [=](OperatorList& list) { list.small("routing", Pass::kDgrad, elements, fused ? 2 : 5); }});
  // The probabilities and the map.
  description.keep("router_probabilities", elements, kSingle + kMask);
}

// Every rank learns how many tokens it gets, and its host reads the numbers to size what follows.
void token_counts(Description& description) {
  description.step({.forward =
                        [](OperatorList& list) {
                          const std::int64_t count = experts_of(list).count;
                          list.small("token_counts", Pass::kForward, count, 2);
                          if (list.shape().ep > 1) {
                            list.collective(ParallelGroup::kExpert, "ep_token_counts", CollectiveOp::kAllGather,
                                            Pass::kForward,
                                            8.0 * static_cast<double>(count * list.shape().ep) * Bytes{1.0});
                          }
                          list.host_sync("token_counts");
                        },
                    .backward = {}});
}

// An MLP that every token passes, with a gate of its own where the model has one.
void shared_experts(Description& description, const Tensor& input) {
  const Experts& experts = experts_of(description);
  const std::int64_t rows = description.shard().token_shard;
  mlp(description, input, divide_up(experts.shared_ffn, description.shape().tp), std::nullopt);
  if (experts.shared_gate == Presence::kPresent) {
    const Bytes e = description.element();
    linear(description,
           {.name = "shared_gate",
            .in = description.model().hidden,
            .outputs = {1},
            .precision = description.wide_precision()},
           Cut::kNone, rows, input);
    description.elementwise(description.hidden_shard(), {"shared_gate_multiply", 2.0 * e},
                            {"shared_gate_backward", 4.0 * e});
    description.keep("shared_output", description.hidden_shard(), e);
  }
}

// Whether the shared experts run beside the tokens' way to the routed ones; they must have no collectives of their own
// among the operators that a collective runs beside.
bool overlaps_shared(const ShardContext& context) {
  return context.options().shared_experts == TensorOverlap::kOn && context.shape().ep > 1 && has_shared(context) &&
         !context.tensor_parallel() && context.shape().dispatcher != TokenDispatcher::kAllGather;
}

// The input goes to the router, the routed experts and the shared ones.
void start_all(Description& description) {
  const int sums = has_shared(description) ? 2 : 1;
  description.step({.forward = {}, .backward = [=](OperatorList& list) {
                      for (int i = 0; i < sums; ++i) {
                        list.elementwise("input_gradient_add", Pass::kDgrad, list.hidden_shard(), 3.0 * list.element());
                      }
                    }});
}

}  // namespace

Presence experts(Description& description, const Tensor& input) {
  const auto scope = description.repeated_by(RecomputeModule::kExperts);
  const auto tokens = std::make_shared<const ExpertTokens>(expert_tokens(description));
  const bool is_beside = overlaps_shared(description);
  start_all(description);
  router(description, input);
  if (tokens->counts_known_late) {
    token_counts(description);
  }
  Step shared;
  if (has_shared(description)) {
    shared = description.grouped([&] { shared_experts(description, input); });
  }
  // The shared experts run beside the tokens' way out, which backward is the gradients' way into the experts.
  const Step beside = is_beside ? shared : Step{};
  description.step(
      {.forward = [=](OperatorList& list) { send_to_experts(list, Pass::kForward, *tokens, beside.forward); },
       .backward = [=](OperatorList& list) { return_from_experts(list, Pass::kDgrad, *tokens); }});
  routed_experts(description, tokens);
  description.step(
      {.forward = [=](OperatorList& list) { return_from_experts(list, Pass::kForward, *tokens); },
       .backward = [=](OperatorList& list) { send_to_experts(list, Pass::kDgrad, *tokens, beside.backward); }});
  if (has_shared(description)) {
    if (!is_beside) {
      description.step(shared);
    }
    description.step({.forward =
                          [](OperatorList& list) {
                            list.elementwise("shared_add", Pass::kForward, list.hidden_shard(), 3.0 * list.element());
                          },
                      .backward = {}});
  }
  return Presence::kAbsent;
}

}  // namespace trainyard
