// Core attention of sequences that several ranks share (context parallelism). Fused kernels only, as in Transformer
// Engine. A rank holds an early and a late piece of the sequence when attention is causal, so all have the same work.
#include "models/blocks/attention.hpp"
#include "sim/base/error.hpp"

namespace trainyard {
namespace {

// Sizes of one exchange of keys and values.
struct Ring {
  ParallelGroup group = ParallelGroup::kContext;
  std::int64_t ranks = 1;
  std::int64_t local = 0;  // tokens of a sequence on one rank of the ring
  Attention whole;         // of the sequence, with the heads that this rank has within the ring
  Bytes keys_and_values{};
  Bytes output{};
};

double elements(const Attention& attention, std::int64_t tokens, std::int64_t heads, std::int64_t width) {
  return static_cast<double>(attention.batch) * static_cast<double>(tokens) * static_cast<double>(heads) *
         static_cast<double>(width);
}

std::int64_t value_dim(const Attention& attention) {
  return attention.value_dim > 0 ? attention.value_dim : attention.head_dim;
}

Ring ring_of(const ShardContext& context, ParallelGroup group, std::int64_t ranks, Attention whole) {
  const std::int64_t local = divide_up(whole.seq_q, ranks);
  return {
      .group = group,
      .ranks = ranks,
      .local = local,
      .whole = whole,
      .keys_and_values = elements(whole, local, whole.kv_heads, whole.head_dim + value_dim(whole)) * context.element(),
      .output = elements(whole, local, whole.heads, value_dim(whole)) * context.element()};
}

// One step's kernel. The rank's own pieces are causal among themselves; of another rank's keys either the earlier half
// is seen by all queries, or all are seen by the later half: half of the square. Kernels know no window here.
// Source: Transformer Engine, pytorch/attention/context_parallel.py, the causal case.
Attention step_kernel(const Ring& ring, std::int64_t step) {
  Attention work = ring.whole;
  const bool causal = work.mask == Mask::kCausal;
  work.window = 0;
  work.seq_q = ring.local;
  work.seq_kv = causal && step > 0 ? divide_up(ring.local, 2) : ring.local;
  work.mask = causal && step == 0 ? Mask::kCausal : Mask::kFull;
  return work;
}

void ring_forward(OperatorList& list, const Ring& ring) {
  for (std::int64_t step = 0; step < ring.ranks; ++step) {
    const bool last = step + 1 == ring.ranks;
    if (!last) {
      list.collective(ring.group, "cp_exchange", CollectiveOp::kSendRecv, Pass::kForward, ring.keys_and_values, 1);
    }
    list.attention("core_attention", Pass::kForward, step_kernel(ring, step));
    if (step > 0) {
      // Results of several steps are scaled by their softmax sums and added: two read, one written.
      list.elementwise("ring_merge", Pass::kForward, 1, 3.0 * ring.output);
    }
  }
}

// Keys and values go round again, and their gradients follow one step behind until they are home.
void ring_backward(OperatorList& list, const Ring& ring) {
  for (std::int64_t step = 0; step < ring.ranks; ++step) {
    const bool last = step + 1 == ring.ranks;
    const int exchanges = (last ? 0 : 1) + (step > 0 ? 1 : 0);
    if (!last) {
      list.collective(ring.group, "cp_exchange", CollectiveOp::kSendRecv, Pass::kDgrad, ring.keys_and_values,
                      exchanges);
    }
    if (step > 0) {
      list.collective(ring.group, "cp_exchange_gradient", CollectiveOp::kSendRecv, Pass::kDgrad, ring.keys_and_values,
                      1);
    }
    list.attention("core_attention", Pass::kDgrad, step_kernel(ring, step));
    if (step > 0) {
      list.elementwise("ring_gradient_add", Pass::kDgrad, 1, 3.0 * ring.keys_and_values);
    }
  }
}

// All keys and values are gathered, in the order of the sequence; each of the two pieces of queries is one kernel.
void gathered_kernels(OperatorList& list, Pass pass, const Ring& ring) {
  Attention work = ring.whole;
  work.window = ring.whole.window;
  if (work.mask == Mask::kCausal) {
    work.seq_q = divide_up(ring.local, 2);
    list.attention("core_attention", pass, work);
    list.attention("core_attention", pass, work);
  } else {
    work.seq_q = ring.local;
    list.attention("core_attention", pass, work);
  }
}

// Heads for tokens: queries, keys, values go out, the output comes back. Sizes are a rank's whole buffer.
struct Exchange {
  ParallelGroup group = ParallelGroup::kContext;
  Bytes queries{};
  Bytes keys{};
  Bytes values{};
  Bytes output{};
};

Exchange exchange_of(const ShardContext& context, ParallelGroup group) {
  const Attention whole = flash_attention(context, Direction::kForward);
  const std::int64_t tokens = context.shape().local_seq_len();
  const Bytes e = context.element();
  return {.group = group,
          .queries = elements(whole, tokens, whole.heads, whole.head_dim) * e,
          .keys = elements(whole, tokens, whole.kv_heads, whole.head_dim) * e,
          .values = elements(whole, tokens, whole.kv_heads, value_dim(whole)) * e,
          .output = elements(whole, tokens, whole.heads, value_dim(whole)) * e};
}

// Heads that a rank has after trading with `ranks`; fewer keys than ranks are replicated.
Attention with_fewer_heads(Attention attention, std::int64_t ranks) {
  attention.heads = divide_up(attention.heads, ranks);
  attention.kv_heads = divide_up(attention.kv_heads, ranks);
  return attention;
}

Ring outer_ring(const ShardContext& context, Direction direction) {
  const std::int64_t inner = context.shape().context_inner;
  TY_ASSERT(inner > 0 && context.shape().cp % inner == 0);
  return ring_of(context, ParallelGroup::kContextOuter, context.shape().cp / inner,
                 with_fewer_heads(flash_attention(context, direction), inner));
}

// Heads go out and come back: what is traded forward is traded backward, in the order of the names.
void trade(Description& description, ParallelGroup group, const std::vector<Bytes>& sizes) {
  const auto exchange = [=](OperatorList& list, Pass pass) {
    for (const Bytes size : sizes) {
      list.collective(group, "cp_all_to_all", CollectiveOp::kAllToAll, pass, size);
    }
  };
  description.step({.forward = [=](OperatorList& list) { exchange(list, Pass::kForward); },
                    .backward = [=](OperatorList& list) { exchange(list, Pass::kDgrad); }});
}

void trade_inputs(Description& description, const Exchange& exchange) {
  trade(description, exchange.group, {exchange.queries, exchange.keys, exchange.values});
}

void trade_output(Description& description, const Exchange& exchange) {
  trade(description, exchange.group, {exchange.output});
}

void ring_attention(Description& description, const Ring& forward, const Ring& backward) {
  description.step({.forward = [=](OperatorList& list) { ring_forward(list, forward); },
                    .backward = [=](OperatorList& list) { ring_backward(list, backward); }});
}

// Keys and values are gathered again backward, and their gradients summed and scattered.
void gathered_attention(Description& description, const Ring& forward, const Ring& backward) {
  const Bytes gathered = static_cast<double>(forward.ranks) * forward.keys_and_values;
  const auto gather = [=](OperatorList& list, Pass pass) {
    list.collective(ParallelGroup::kContext, "cp_all_gather", CollectiveOp::kAllGather, pass, gathered);
  };
  description.step({.forward =
                        [=](OperatorList& list) {
                          gather(list, Pass::kForward);
                          gathered_kernels(list, Pass::kForward, forward);
                        },
                    .backward =
                        [=](OperatorList& list) {
                          gather(list, Pass::kDgrad);
                          gathered_kernels(list, Pass::kDgrad, backward);
                          list.collective(ParallelGroup::kContext, "cp_reduce_scatter", CollectiveOp::kReduceScatter,
                                          Pass::kDgrad, gathered);
                        }});
}

}  // namespace

void context_attention(Description& description) {
  const std::int64_t cp = description.shape().cp;
  const Attention forward = flash_attention(description, Direction::kForward);
  const Attention backward = flash_attention(description, Direction::kBackward);
  const auto ring = [&](const Attention& whole) { return ring_of(description, ParallelGroup::kContext, cp, whole); };
  switch (description.shape().context_parallel) {
    case ContextParallel::kRing:
      ring_attention(description, ring(forward), ring(backward));
      return;
    case ContextParallel::kAllGather:
      gathered_attention(description, ring(forward), ring(backward));
      return;
    case ContextParallel::kUlysses: {
      const Exchange exchange = exchange_of(description, ParallelGroup::kContext);
      trade_inputs(description, exchange);
      description.step({.forward =
                            [=](OperatorList& list) {
                              list.attention("core_attention", Pass::kForward, with_fewer_heads(forward, cp));
                            },
                        .backward =
                            [=](OperatorList& list) {
                              list.attention("core_attention", Pass::kDgrad, with_fewer_heads(backward, cp));
                            }});
      trade_output(description, exchange);
      return;
    }
    case ContextParallel::kHierarchical: {
      const Exchange exchange = exchange_of(description, ParallelGroup::kContextInner);
      trade_inputs(description, exchange);
      ring_attention(description, outer_ring(description, Direction::kForward),
                     outer_ring(description, Direction::kBackward));
      trade_output(description, exchange);
      return;
    }
  }
}

}  // namespace trainyard
