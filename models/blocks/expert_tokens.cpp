#include "models/blocks/expert_tokens.hpp"

#include <algorithm>
#include <cmath>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

// `total` in integers that follow the shares and sum to it: whole parts first, then the largest remainders.
std::vector<std::int64_t> spread(std::int64_t total, const std::vector<double>& shares) {
  std::vector<std::int64_t> parts;
  std::vector<std::pair<double, std::size_t>> remainders;
  std::int64_t given = 0;
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const double exact = static_cast<double>(total) * shares[i];
    parts.push_back(static_cast<std::int64_t>(exact));
    given += parts.back();
    remainders.emplace_back(static_cast<double>(parts.back()) - exact, i);
  }
  std::sort(remainders.begin(), remainders.end());
  for (std::size_t i = 0; given < total && i < remainders.size(); ++i, ++given) {
    ++parts[remainders[i].second];
  }
  return parts;
}

// Of `choices` among `places`, how many different ones are met on average when all are equally likely.
double distinct(double places, double choices) {
  return places * (1.0 - std::pow(1.0 - 1.0 / places, choices));
}

}  // namespace

ExpertTokens expert_tokens(const ModelSpec& model, const ShardShape& shape) {
  TY_ASSERT(model.experts.has_value());
  const Experts& experts = *model.experts;
  const std::int64_t local = divide_up(experts.count, shape.ep);
  ExpertTokens tokens;
  tokens.own = Shard(model, shape).token_shard;
  tokens.copies = tokens.own * experts.per_token;
  tokens.dispatch_element = shape.activation_element;

  std::vector<double> shares = shape.expert_shares;
  if (shares.empty()) {
    shares.assign(static_cast<std::size_t>(local), 1.0 / static_cast<double>(local));
  }
  TY_ASSERT(static_cast<std::int64_t>(shares.size()) == local);
  const auto mean = static_cast<double>(tokens.copies);
  if (shape.padded_capacity) {
    // Every expert takes the same number of tokens from every rank, dropped or padded. Source: Megatron-LM
    // moe_utils.py, get_capacity: ceil(tokens x top-k / experts x factor).
    const double capacity = std::ceil(mean / static_cast<double>(experts.count) * *shape.padded_capacity);
    tokens.copies = static_cast<std::int64_t>(capacity) * experts.count;
    tokens.received = static_cast<std::int64_t>(capacity) * local * shape.ep;
    tokens.exchanged = static_cast<double>(tokens.received);
    tokens.per_expert.assign(static_cast<std::size_t>(local),
                             static_cast<std::int64_t>(capacity) * shape.ep * shape.expert_tp);
  } else {
    tokens.counts_known_late = true;
    tokens.copies = std::llround(mean * shape.kept_share);
    tokens.received = static_cast<std::int64_t>(std::llround(mean * shape.routed_load));
    tokens.exchanged = mean * std::max(shape.kept_share, shape.heaviest_load);
    tokens.per_expert = spread(tokens.received * shape.expert_tp, shares);
  }
  for (const std::int64_t count : tokens.per_expert) {
    tokens.computed += count;
  }
  if (shape.dispatcher == TokenDispatcher::kDeepEp) {
    // A token goes once to each node that has one of its experts; within a node, once to each rank. The slower of both
    // ways sets the pace, and on several nodes that is the network.
    const std::int64_t nodes = divide_up(shape.ep, shape.deep_ep_ranks_per_node);
    const double places = static_cast<double>(nodes > 1 ? nodes : shape.ep);
    tokens.exchanged *=
        distinct(places, static_cast<double>(experts.per_token)) / static_cast<double>(experts.per_token);
    if (bytes_per_element(shape.precision) < shape.activation_element) {
      tokens.dispatch_element = bytes_per_element(shape.precision) + scale_bytes_per_element(shape.precision);
    }
  }
  return tokens;
}

}  // namespace trainyard
