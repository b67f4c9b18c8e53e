// Final norm, vocabulary-parallel logits and cross entropy of the last stage; BERT's heads.
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

constexpr Bytes kSingle{4.0};

Linear logits(const OperatorList& list) {
  const ModelSpec& model = list.model();
  const bool has_bias = model.pooler_and_mlm_head == Presence::kPresent || model.head_bias == Presence::kPresent;
  return {.name = "logits",
          .in = model.hidden,
          .outputs = {list.shard().vocab},
          .bias = has_bias || model.vision ? Presence::kPresent : Presence::kAbsent,
          .precision = list.wide_precision()};
}

Linear square(const OperatorList& list, std::string_view name) {
  return {.name = name, .in = list.model().hidden, .outputs = {list.model().hidden}, .bias = Presence::kPresent};
}

Bytes per_token(const OperatorList& list) {
  return static_cast<double>(list.shard().tokens) * kSingle;
}

// Megatron's vocabulary-parallel cross entropy, statement by statement; it leaves the softmax for the backward.
// Source: Megatron-LM, core/tensor_parallel/cross_entropy.py; the three all-reduces are maximum, target logit and sum.
void parallel_loss_forward(OperatorList& list, std::int64_t elements) {
  const std::int64_t tokens = list.shard().tokens;
  list.elementwise("logits_to_fp32", Pass::kForward, elements, list.element() + kSingle);
  list.elementwise("logits_maximum", Pass::kForward, elements, kSingle);
  list.collective(CollectiveOp::kAllReduce, Pass::kForward, per_token(list));
  list.elementwise("logits_shift", Pass::kForward, elements, 2.0 * kSingle);
  // Two comparisons, their union, shift, masked fill; then index, gather, masked fill of the target's logit.
  list.small("target_logit", Pass::kForward, tokens, 8);
  list.collective(CollectiveOp::kAllReduce, Pass::kForward, per_token(list));
  list.elementwise("logits_exponential", Pass::kForward, elements, 2.0 * kSingle);
  list.elementwise("exponential_sum", Pass::kForward, elements, kSingle);
  list.collective(CollectiveOp::kAllReduce, Pass::kForward, per_token(list));
  list.small("loss", Pass::kForward, tokens, 2);  // logarithm, difference
  list.elementwise("softmax_normalize", Pass::kForward, elements, 2.0 * kSingle);
}

// PyTorch: logits.float(), log_softmax, nll_loss.
void eager_loss_forward(OperatorList& list, std::int64_t elements) {
  list.elementwise("logits_to_fp32", Pass::kForward, elements, list.element() + kSingle);
  list.elementwise("log_softmax", Pass::kForward, elements, 2.0 * kSingle);
  list.small("loss", Pass::kForward, list.shard().tokens, 1);
}

// One pass for maximum and sum, one that turns the logits into their gradient in place. Source: Transformer Engine,
// pytorch/triton/cross_entropy.py: ranks exchange maximum, sum and target logit of each token in one all-gather.
void fused_loss_forward(OperatorList& list, std::int64_t elements) {
  constexpr double kNumbersPerToken = 3.0;
  list.elementwise("loss_statistics", Pass::kForward, elements, list.element());
  list.collective(CollectiveOp::kAllGather, Pass::kForward,
                  kNumbersPerToken * static_cast<double>(list.shape().tp) * per_token(list));
  list.elementwise("loss", Pass::kForward, elements, 2.0 * list.element());
}

void loss_forward(OperatorList& list) {
  const std::int64_t elements = list.shard().tokens * list.shard().vocab;
  if (list.options().cross_entropy == Fusion::kOn) {
    fused_loss_forward(list, elements);
  } else if (list.tensor_parallel() || list.options().vocabulary_parallel == Presence::kPresent) {
    parallel_loss_forward(list, elements);
  } else {
    eager_loss_forward(list, elements);
  }
  list.small("loss_mean", Pass::kForward, list.shard().tokens, 3);  // times mask, sum, division
  for (std::int64_t i = 0; i < list.options().loss_metrics; ++i) {
    eager_loss_forward(list, elements);
  }
}

void loss_backward(OperatorList& list) {
  const Bytes e = list.element();
  const std::int64_t tokens = list.shard().tokens;
  const std::int64_t elements = tokens * list.shard().vocab;
  list.small("loss_mean", Pass::kDgrad, tokens, 3);
  if (list.options().cross_entropy == Fusion::kOn) {
    list.elementwise("loss_backward", Pass::kDgrad, elements, 2.0 * e);  // scaled by the loss's gradient
    return;
  }
  if (list.tensor_parallel() || list.options().vocabulary_parallel == Presence::kPresent) {
    list.small("target_logit", Pass::kDgrad, tokens, 3);                       // minus one at the target
    list.elementwise("loss_backward", Pass::kDgrad, elements, 2.0 * kSingle);  // scaled by the loss's gradient
  } else {
    list.elementwise("loss_backward", Pass::kDgrad, elements, kSingle);  // zeros, minus one at the target
    list.elementwise("log_softmax_backward", Pass::kDgrad, elements, 3.0 * kSingle);
  }
  list.elementwise("logits_from_fp32", Pass::kDgrad, elements, kSingle + e);
}

// BERT: dense, GeLU and norm before the decoder (on every rank alike), and pooler with tanh and the sentence-pair
// classifier on the first token of each sequence.
void bert_heads_forward(OperatorList& list) {
  const Shard& shard = list.shard();
  const std::int64_t sequences = list.shape().micro_batch;
  list.local_forward(square(list, "pooler"), sequences);
  list.small("pooler_tanh", Pass::kForward, sequences * list.model().hidden, 1);
  list.local_forward(square(list, "mlm_transform"), shard.token_shard);
  list.elementwise("gelu", Pass::kForward, shard.token_shard * list.model().hidden, 2.0 * list.element());
  list.norm_forward("mlm_norm");
}

void bert_heads_backward(OperatorList& list) {
  const Shard& shard = list.shard();
  const std::int64_t sequences = list.shape().micro_batch;
  list.norm_backward("mlm_norm");
  list.elementwise("gelu_backward", Pass::kDgrad, shard.token_shard * list.model().hidden, 3.0 * list.element());
  list.local_backward(square(list, "mlm_transform"), shard.token_shard);
  list.small("pooler_tanh", Pass::kDgrad, sequences * list.model().hidden, 1);
  list.local_backward(square(list, "pooler"), sequences);
}

// A vision model names one class per image, from the class token.
void image_loss_forward(OperatorList& list) {
  const std::int64_t images = list.shape().micro_batch;
  list.local_forward(logits(list), images);
  list.small("loss", Pass::kForward, images * list.shard().vocab, 3);
}

void image_loss_backward(OperatorList& list) {
  const std::int64_t images = list.shape().micro_batch;
  list.small("loss_backward", Pass::kDgrad, images * list.shard().vocab, 2);
  list.local_backward(logits(list), images);
  // The other tokens' gradient is zero, and has to be written.
  list.elementwise("class_token_gradient", Pass::kDgrad, list.shard().token_shard * list.model().hidden,
                   list.element());
}

// The head works on the tokens of the last layer.
OperatorList head_list(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options) {
  return {model, shape, options, layer_kind(model, model.layers - 1)};
}

}  // namespace

void logits_forward(OperatorList& list) {
  list.column_forward(logits(list));
  if (list.model().logit_soft_cap == Presence::kPresent) {
    list.elementwise("logit_soft_cap", Pass::kForward, list.shard().tokens * list.shard().vocab, 2.0 * list.element());
  }
  loss_forward(list);
}

void logits_backward(OperatorList& list) {
  loss_backward(list);
  if (list.model().logit_soft_cap == Presence::kPresent) {
    list.elementwise("logit_soft_cap", Pass::kDgrad, list.shard().tokens * list.shard().vocab, 3.0 * list.element());
  }
  list.column_backward(logits(list));
}

std::vector<Operator> head_forward(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options) {
  OperatorList list = head_list(model, shape, options);
  if (model.final_norm == Presence::kPresent) {
    list.norm_forward("final_norm");
  }
  if (model.pooler_and_mlm_head == Presence::kPresent) {
    bert_heads_forward(list);
  }
  model.vision ? image_loss_forward(list) : logits_forward(list);
  predicted_tokens_forward(list);
  return list.take();
}

std::vector<Operator> head_backward(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options) {
  OperatorList list = head_list(model, shape, options);
  predicted_tokens_backward(list);
  model.vision ? image_loss_backward(list) : logits_backward(list);
  if (model.final_norm == Presence::kPresent) {
    list.norm_backward("final_norm");
  }
  if (model.pooler_and_mlm_head == Presence::kPresent) {
    bert_heads_backward(list);
  }
  return list.take();
}

}  // namespace trainyard
