#include "models/blocks/expert_dispatch.hpp"

#include <algorithm>

namespace trainyard {
namespace {

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

}  // namespace

void send_to_experts(OperatorList& list, Pass pass, const ExpertTokens& tokens,
                     const std::function<void(OperatorList&)>& beside) {
  const ShardShape& shape = list.shape();
  const Bytes wide = list.element();
  const Bytes e = pass == Pass::kForward ? tokens.dispatch_element : wide;
  const auto width = static_cast<double>(list.model().hidden);
  const auto dispatch = [&] {
    list.collective(ParallelGroup::kExpert, "ep_dispatch", CollectiveOp::kAllToAll, pass, tokens.exchanged * width * e);
    const std::size_t begin = list.begin_beside();
    if (beside) {
      beside(list);
    }
    list.end_beside(begin);
  };
  switch (shape.dispatcher) {
    case TokenDispatcher::kAllToAll:
      permute(list, "permute", pass, tokens.own, tokens.copies);
      if (shape.ep > 1) {
        if (pass == Pass::kForward) {
          list.collective(ParallelGroup::kExpert, "ep_dispatch_weights", CollectiveOp::kAllToAll, pass,
                          tokens.exchanged * kSingle);
        }
        dispatch();
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
        dispatch();
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

}  // namespace trainyard
