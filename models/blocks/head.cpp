// Final norm, vocabulary-parallel logits and cross entropy of the last stage; BERT's heads.
#include <algorithm>
#include <cmath>

#include "models/blocks/ends.hpp"
#include "models/blocks/linear.hpp"
#include "models/blocks/network.hpp"
#include "models/blocks/norm.hpp"

namespace trainyard {
namespace {

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

Linear output_matrix(const ShardContext& context) {
  const ModelSpec& model = context.model();
  const bool has_bias = model.pooler_and_mlm_head == Presence::kPresent || model.head_bias == Presence::kPresent;
  return {.name = "logits",
          .in = model.hidden,
          .outputs = {context.shard().vocab},
          .bias = has_bias || model.vision ? Presence::kPresent : Presence::kAbsent,
          .precision = context.wide_precision()};
}

// The output matrix stands on the last stage whether it is tied or not.
void output_weights(Description& description, std::int64_t tokens) {
  const ModelSpec& model = description.model();
  const std::int64_t matrix = description.shard().vocab * model.hidden;
  description.weight({.elements = matrix,
                      .multiplied = static_cast<double>(matrix),
                      .tokens = tokens,
                      .counted = CountedWith::kUntiedModel});
  if (model.head_bias == Presence::kPresent || model.vision) {
    description.weight({.elements = model.vocab});
  }
}

// BERT: dense, GeLU and norm before the decoder (on every rank alike), and pooler with tanh and the sentence-pair
// classifier on the first token of each sequence, whose numbers are too few to count as kept.
void bert_heads(Description& description) {
  constexpr std::int64_t kPairClasses = 2;  // does the second sentence follow the first
  const std::int64_t hidden = description.model().hidden;
  const std::int64_t sequences = description.shape().micro_batch;
  const std::int64_t rows = description.shard().token_shard;
  const Bytes e = description.element();
  const auto square = [&](std::string_view name) {
    return Linear{.name = name, .in = hidden, .outputs = {hidden}, .bias = Presence::kPresent};
  };
  linear_kernels(description, square("pooler"), Cut::kNone, sequences, {});
  description.weight({.elements = (hidden + 1) * hidden});
  description.step(
      {.forward = [=](OperatorList& list) { list.small("pooler_tanh", Pass::kForward, sequences * hidden, 1); },
       .backward = [=](OperatorList& list) { list.small("pooler_tanh", Pass::kDgrad, sequences * hidden, 1); }});
  linear_kernels(description, square("mlm_transform"), Cut::kNone, rows,
                 description.written("mlm_transform_input", rows * hidden, operand_element(description)));
  description.elementwise(rows * hidden, {"gelu", 2.0 * e}, {"gelu_backward", 3.0 * e});
  description.keep("gelu_input", rows * hidden, e);
  norm_kernels(description, of_hidden(description, "mlm_norm"), hidden_norm_input(description, "mlm_norm_input"));
  norm_weights(description, of_hidden(description, "mlm_norm"), 1, CountedWith::kPretraining);
  const std::int64_t transform = (hidden + 1) * hidden;
  const std::int64_t pair = kPairClasses * (hidden + 1);
  description.weight({.elements = transform + pair + description.model().vocab, .counted = CountedWith::kPretraining});
}

// A vision model names one class per image, from the class token.
void image_logits(Description& description) {
  const std::int64_t images = description.shape().micro_batch;
  const std::int64_t vocab = description.shard().vocab;
  // The other tokens' gradient is zero, and has to be written.
  description.step({.forward = {}, .backward = [](OperatorList& list) {
                      list.elementwise("class_token_gradient", Pass::kDgrad, list.hidden_shard(), list.element());
                    }});
  linear_kernels(description, output_matrix(description), Cut::kNone, images,
                 description.written("logits_input", images * description.model().hidden, description.element()));
  output_weights(description, images);
  description.step(
      {.forward = [=](OperatorList& list) { list.small("loss", Pass::kForward, images * vocab, 3); },
       .backward = [=](OperatorList& list) { list.small("loss_backward", Pass::kDgrad, images * vocab, 2); }});
  description.keep("logits", images * description.model().vocab, description.element() + kSingle);
}

// Of a sequence, how many tokens are masked and predicted: 20 of 128, 80 of 512. Source: google-research/bert,
// README.md, max_predictions_per_seq = max_seq_length * masked_lm_prob of 0.15, and the data sets of
// NVIDIA/DeepLearningExamples.
ShardShape of_masked_tokens(ShardShape shape) {
  constexpr double kMasked = 20.0 / 128.0;
  shape.seq_len = std::max<std::int64_t>(1, std::llround(kMasked * static_cast<double>(shape.seq_len)));
  return shape;
}

// Rows of the masked tokens out of all; backward zeros for all, and the rows' gradients among them.
void gather_masked_tokens(Description& description, std::int64_t all_rows) {
  const Bytes e = description.element();
  const std::int64_t hidden = description.model().hidden;
  const std::int64_t rows = description.shard().token_shard;
  description.step(
      {.forward =
           [=](OperatorList& list) { list.elementwise("gather_masked", Pass::kForward, rows * hidden, 2.0 * e); },
       .backward =
           [=](OperatorList& list) {
             list.elementwise("masked_gradient", Pass::kDgrad, all_rows * hidden, e);
             list.elementwise("masked_gradient", Pass::kDgrad, rows * hidden, 3.0 * e);
           }});
}

// Fine-tuning that classifies every token: one narrow linear, one small loss.
void token_classes(Description& description) {
  const ModelSpec& model = description.model();
  const std::int64_t tokens = description.shard().tokens;
  const std::int64_t classes = model.token_classes;
  const Linear linear{.name = "token_classes", .in = model.hidden, .outputs = {classes}, .bias = Presence::kPresent};
  linear_kernels(description, linear, Cut::kNone, tokens,
                 description.written("token_classes_input", description.hidden_shard(), description.element()));
  description.weight({.elements = (model.hidden + 1) * classes});
  description.step(
      {.forward = [=](OperatorList& list) { list.small("loss", Pass::kForward, tokens * classes, 3); },
       .backward = [=](OperatorList& list) { list.small("loss_backward", Pass::kDgrad, tokens * classes, 3); }});
  description.keep("logits", tokens * classes, description.element() + kSingle);
}

}  // namespace

void logits(Description& description) {
  const std::int64_t tokens = description.shard().tokens;
  const std::int64_t elements = tokens * description.shard().vocab;
  const Bytes e = description.element();
  linear_kernels(description, output_matrix(description), Cut::kColumns, tokens,
                 description.written("logits_input", description.hidden_shard(), e));
  description.keep("logits", elements, e);
  if (description.model().logit_soft_cap == Presence::kPresent) {
    description.elementwise(elements, {"logit_soft_cap", 2.0 * e}, {"logit_soft_cap", 3.0 * e});
    description.keep("logit_soft_cap_output", elements, e);
  }
  description.step({.forward = loss_forward, .backward = loss_backward});
  // The fused loss leaves the logits' gradient in the logits' own place; the others keep the softmax in fp32.
  const bool is_fused = description.options().cross_entropy == Fusion::kOn;
  description.keep("logits_softmax", elements, is_fused ? Bytes{} : kSingle);
}

// The head works on the tokens of the last layer.
Description head_description(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options) {
  const LayerKind kind = layer_kind(model, model.layers - 1);
  const bool classifies = model.token_classes > 0;
  const bool gathers = options.gathered_predictions == Presence::kPresent &&
                       model.pooler_and_mlm_head == Presence::kPresent && !classifies;
  Description description(ShardContext(model, gathers ? of_masked_tokens(shape) : shape, options, kind));
  if (model.network) {
    network_loss(description);
    return description;
  }
  if (gathers) {
    gather_masked_tokens(description, ShardContext(model, shape, options, kind).shard().token_shard);
  }
  if (model.final_norm == Presence::kPresent) {
    const Norm final_norm = of_hidden(description, "final_norm");
    norm_kernels(description, final_norm, hidden_norm_input(description, "final_norm_input"));
    norm_weights(description, final_norm, model.encoder_layers > 0 ? 2 : 1);  // one each of encoder and decoder
  }
  if (model.pooler_and_mlm_head == Presence::kPresent && !classifies) {
    bert_heads(description);
  }
  if (model.vision) {
    image_logits(description);
  } else if (classifies) {
    token_classes(description);
  } else {
    logits(description);
    output_weights(description, description.shard().tokens);
  }
  predicted_tokens(description);
  return description;
}

std::vector<Operator> head_forward(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options) {
  return head_description(model, shape, options).forward();
}

std::vector<Operator> head_backward(const ModelSpec& model, const ShardShape& shape, const OperatorOptions& options) {
  return head_description(model, shape, options).backward();
}

std::vector<ActivationTerm> head_activation_bytes(const ModelSpec& model, const ShardShape& shape,
                                                  const OperatorOptions& options) {
  return head_description(model, shape, options).kept(Recompute::kNone);
}

}  // namespace trainyard
