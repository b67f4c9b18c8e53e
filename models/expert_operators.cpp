// A mixture of experts in place of the MLP: router, dispatch, experts, combine, and the shared experts beside them.
// Source: Megatron-LM, core/transformer/moe (moe_layer.py, router.py, token_dispatcher.py, experts.py,
// shared_experts.py).
#include <algorithm>

#include "models/expert_tokens.hpp"
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

constexpr Bytes kSingle{4.0};

const Experts& experts(const OperatorList& list) {
  return *list.model().experts;
}

Linear router(const OperatorList& list) {
  return {.name = "router",
          .in = list.model().hidden,
          .outputs = {experts(list).count},
          .bias = experts(list).router_bias,
          .precision = list.wide_precision()};
}

Linear shared_gate(const OperatorList& list) {
  return {.name = "shared_gate", .in = list.model().hidden, .outputs = {1}, .precision = list.wide_precision()};
}

bool gates_shared(const OperatorList& list) {
  return experts(list).shared_gate == Presence::kPresent;
}

// What one of the statements between scores and routing map reads and writes, on a number per token and expert.
void routing(OperatorList& list, Pass pass) {
  // Cast, softmax, top-k, scatter of probabilities and of the map; the load-balancing loss: mean of the scores, tokens
  // per expert, product. Backward: those that carry a gradient.
  const int statements = pass == Pass::kForward ? 8 : 5;
  const bool fused = list.options().router == Fusion::kOn;
  list.small("routing", pass, list.shard().token_shard * experts(list).count, fused ? 2 : statements);
}

// Copies between token order and expert order: `from` rows read, `to` rows written, or the statements that an index
// computation, a gather and a scatter take.
void permute(OperatorList& list, std::string_view name, Pass pass, std::int64_t from, std::int64_t to) {
  const std::int64_t h = list.model().hidden;
  const Bytes e = list.element();
  if (list.options().permutation == Fusion::kOff) {
    list.small("permutation_index", pass, std::max(from, to), 3);
  }
  list.elementwise(name, pass, (from + to) * h, e);
}

// One way of the tokens: to the experts and, for gradients, back to them.
// What `beside` adds runs beside the exchange.
template <class Beside>
void send_to_experts(OperatorList& list, Pass pass, const ExpertTokens& tokens, Beside beside) {
  const ShardShape& shape = list.shape();
  const Bytes wide = list.element();
  const Bytes e = pass == Pass::kForward ? tokens.dispatch_element : wide;
  const auto width = static_cast<double>(list.model().hidden);
  switch (shape.dispatcher) {
    case TokenDispatcher::kAllToAll:
      permute(list, "permute", pass, tokens.own, tokens.copies);
      if (shape.ep > 1) {
        if (pass == Pass::kForward) {
          list.collective(ParallelGroup::kExpert, "ep_dispatch_weights", CollectiveOp::kAllToAll, pass,
                          tokens.exchanged * kSingle);
        }
        list.collective(ParallelGroup::kExpert, "ep_dispatch", CollectiveOp::kAllToAll, pass,
                        tokens.exchanged * width * e);
        const std::size_t begin = list.begin_beside();
        beside();
        list.end_beside(begin);
      }
      break;
    case TokenDispatcher::kAllGather:
      if (shape.ep > 1) {
        list.collective(ParallelGroup::kExpert, "ep_gather", CollectiveOp::kAllGather, pass,
                        static_cast<double>(tokens.own * shape.ep) * width * wide);
      }
      permute(list, "permute", pass, tokens.received, tokens.received);
      break;
    case TokenDispatcher::kDeepEp:
      if (shape.ep > 1) {
        list.collective(ParallelGroup::kExpert, "ep_dispatch", CollectiveOp::kAllToAll, pass,
                        tokens.exchanged * width * e);
        const std::size_t begin = list.begin_beside();
        beside();
        list.end_beside(begin);
      }
      permute(list, "permute", pass, tokens.received, tokens.received);
      break;
  }
  if (shape.expert_tp > 1) {
    list.collective(ParallelGroup::kExpertTensor, "etp_all_gather", CollectiveOp::kAllGather, pass,
                    static_cast<double>(tokens.computed) * width * wide);
  }
  if (shape.dispatcher == TokenDispatcher::kAllToAll && shape.ep > 1 && tokens.per_expert.size() > 1) {
    // Tokens arrive ordered by rank and are sorted by expert.
    permute(list, "sort_by_expert", pass, tokens.computed, tokens.computed);
  }
}

void return_from_experts(OperatorList& list, Pass pass, const ExpertTokens& tokens) {
  const ShardShape& shape = list.shape();
  const Bytes e = list.element();
  const auto width = static_cast<double>(list.model().hidden);
  if (shape.dispatcher == TokenDispatcher::kAllToAll && shape.ep > 1 && tokens.per_expert.size() > 1) {
    permute(list, "sort_by_rank", pass, tokens.computed, tokens.computed);
  }
  if (shape.expert_tp > 1) {
    list.collective(ParallelGroup::kExpertTensor, "etp_reduce_scatter", CollectiveOp::kReduceScatter, pass,
                    static_cast<double>(tokens.computed) * width * e);
  }
  switch (shape.dispatcher) {
    case TokenDispatcher::kAllToAll:
      if (shape.ep > 1) {
        list.collective(ParallelGroup::kExpert, "ep_combine", CollectiveOp::kAllToAll, pass,
                        tokens.exchanged * width * e);
      }
      permute(list, "unpermute", pass, tokens.copies, tokens.own);
      break;
    case TokenDispatcher::kAllGather:
      permute(list, "unpermute", pass, tokens.received, tokens.own * shape.ep);
      if (shape.ep > 1) {
        list.collective(ParallelGroup::kExpert, "ep_scatter", CollectiveOp::kReduceScatter, pass,
                        static_cast<double>(tokens.own * shape.ep) * width * e);
      }
      break;
    case TokenDispatcher::kDeepEp:
      permute(list, "unpermute", pass, tokens.received, tokens.received);
      if (shape.ep > 1) {
        list.collective(ParallelGroup::kExpert, "ep_combine", CollectiveOp::kAllToAll, pass,
                        tokens.exchanged * width * e);
      }
      break;
  }
}

std::int64_t expert_width(const OperatorList& list) {
  return divide_up(experts(list).ffn, list.shape().expert_tp);
}

std::int64_t up_width(const OperatorList& list) {
  return (list.model().gated() ? 2 : 1) * expert_width(list);
}

Bytes output_extra(const OperatorList& list, std::int64_t elements) {
  const Bytes more = list.element() - bytes_per_element(list.shape().precision);
  return static_cast<double>(elements) * max(more, Bytes{});
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

void expert_linear(OperatorList& list, std::string_view name, Pass pass, const ExpertTokens& tokens, std::int64_t in,
                   std::int64_t out) {
  list.quantize(list.shape().precision, tokens.computed * in, pass);
  expert_gemm(
      list, name, pass,
      {.tokens = tokens.per_expert, .n = out, .k = in, .extra_traffic = output_extra(list, tokens.computed * out)});
}

// The gradient [in, out] of every expert's matrix, accumulated as the dense linears' are.
void expert_wgrad(OperatorList& list, std::string_view name, const ExpertTokens& tokens, std::int64_t in,
                  std::int64_t out) {
  const bool buffer = list.options().gradient_buffer == Presence::kPresent;
  const bool in_epilogue = buffer && list.options().wgrad_accumulation == Fusion::kOn;
  const auto local = static_cast<std::int64_t>(tokens.per_expert.size());
  const Bytes moved = in_epilogue ? 2.0 * list.shape().gradient_element : list.element();
  const Bytes extra = max(moved - bytes_per_element(list.shape().precision), Bytes{});
  expert_gemm(list, name, Pass::kWgrad,
              {.tokens = tokens.per_expert,
               .n = out,
               .k = in,
               .by = GroupedBy::kDepth,
               .extra_traffic = static_cast<double>(local * in * out) * extra});
  if (!in_epilogue) {
    list.accumulate_gradient(local * in * out);
  }
  if (experts(list).expert_bias == Presence::kPresent) {
    list.elementwise("bias_gradient", Pass::kWgrad, tokens.computed * out, list.element());
    list.accumulate_gradient(local * out);
  }
}

void routed_forward(OperatorList& list, const ExpertTokens& tokens) {
  if (tokens.computed == 0) {
    return;
  }
  expert_linear(list, "experts_up", Pass::kForward, tokens, list.model().hidden, up_width(list));
  activation_forward(list, tokens.computed, expert_width(list));
  expert_linear(list, "experts_down", Pass::kForward, tokens, expert_width(list), list.model().hidden);
}

void routed_backward(OperatorList& list, const ExpertTokens& tokens) {
  if (tokens.computed == 0) {
    return;
  }
  const std::int64_t h = list.model().hidden;
  expert_linear(list, "experts_down", Pass::kDgrad, tokens, h, expert_width(list));
  expert_wgrad(list, "experts_down", tokens, expert_width(list), h);
  // The gradient of a token's weight is a sum over the activation that it scaled.
  list.elementwise("expert_weight_gradient", Pass::kDgrad, tokens.computed * expert_width(list), 2.0 * list.element());
  activation_backward(list, tokens.computed, expert_width(list), Presence::kAbsent);
  expert_linear(list, "experts_up", Pass::kDgrad, tokens, up_width(list), h);
  expert_wgrad(list, "experts_up", tokens, h, up_width(list));
}

void shared_forward(OperatorList& list) {
  if (experts(list).shared_ffn == 0) {
    return;
  }
  const std::int64_t rows = list.shard().token_shard;
  mlp_forward(list, divide_up(experts(list).shared_ffn, list.shape().tp));
  if (gates_shared(list)) {
    list.local_forward(shared_gate(list), rows);
    list.elementwise("shared_gate_multiply", Pass::kForward, rows * list.model().hidden, 2.0 * list.element());
  }
}

void shared_backward(OperatorList& list) {
  if (experts(list).shared_ffn == 0) {
    return;
  }
  const std::int64_t rows = list.shard().token_shard;
  if (gates_shared(list)) {
    list.elementwise("shared_gate_backward", Pass::kDgrad, rows * list.model().hidden, 4.0 * list.element());
    list.local_backward(shared_gate(list), rows);
  }
  mlp_backward(list, divide_up(experts(list).shared_ffn, list.shape().tp));
}

// Whether the shared experts run beside the tokens' way to the routed ones; they must have no collectives of their own
// among the operators that a collective runs beside.
bool overlaps_shared(const OperatorList& list) {
  return list.options().shared_experts == TensorOverlap::kOn && list.shape().ep > 1 && experts(list).shared_ffn > 0 &&
         !list.tensor_parallel() && list.shape().dispatcher != TokenDispatcher::kAllGather;
}

}  // namespace

void experts_forward(OperatorList& list) {
  const ExpertTokens tokens = expert_tokens(list);
  const std::int64_t rows = list.shard().token_shard;
  list.local_forward(router(list), rows);
  routing(list, Pass::kForward);
  if (tokens.counts_known_late) {
    // Every rank learns how many tokens it gets, and its host reads the numbers to size what follows.
    list.small("token_counts", Pass::kForward, experts(list).count, 2);
    if (list.shape().ep > 1) {
      list.collective(ParallelGroup::kExpert, "ep_token_counts", CollectiveOp::kAllGather, Pass::kForward,
                      8.0 * static_cast<double>(experts(list).count * list.shape().ep) * Bytes{1.0});
    }
    list.host_sync("token_counts");
  }
  const bool beside = overlaps_shared(list);
  send_to_experts(list, Pass::kForward, tokens, [&] {
    if (beside) {
      shared_forward(list);
    }
  });
  routed_forward(list, tokens);
  return_from_experts(list, Pass::kForward, tokens);
  if (!beside) {
    shared_forward(list);
  }
  if (experts(list).shared_ffn > 0) {
    list.elementwise("shared_add", Pass::kForward, rows * list.model().hidden, 3.0 * list.element());
  }
}

void experts_backward(OperatorList& list) {
  const ExpertTokens tokens = expert_tokens(list);
  const std::int64_t rows = list.shard().token_shard;
  const bool beside = overlaps_shared(list);
  if (!beside) {
    shared_backward(list);
  }
  send_to_experts(list, Pass::kDgrad, tokens, [&] {
    if (beside) {
      shared_backward(list);
    }
  });
  routed_backward(list, tokens);
  return_from_experts(list, Pass::kDgrad, tokens);
  routing(list, Pass::kDgrad);
  list.local_backward(router(list), rows);
  // The input went to the router, the routed experts and the shared ones.
  const int sums = experts(list).shared_ffn > 0 ? 2 : 1;
  for (int i = 0; i < sums; ++i) {
    list.elementwise("input_gradient_add", Pass::kDgrad, rows * list.model().hidden, 3.0 * list.element());
  }
}

}  // namespace trainyard
