// Multi-token prediction: modules after the last layer that each see one token further. Source: DeepSeek-V3, arXiv
// 2412.19437, section 2.2; Megatron-LM core/transformer/multi_token_prediction.py. Embedding and output matrix are the
// model's own, so a stage that runs these modules holds both.
#include "models/operator_list.hpp"

namespace trainyard {
namespace {

// Two hidden widths in, one out.
Linear projection(const OperatorList& list) {
  return {.name = "prediction_projection",
          .in = 2 * list.model().hidden,
          .outputs = {divide_up(list.model().hidden, list.shape().tp)}};
}

LayerKind last_kind(const ModelSpec& model) {
  return layer_kind(model, model.layers - 1);
}

}  // namespace

void predicted_tokens_forward(OperatorList& list) {
  const ModelSpec& model = list.model();
  const std::int64_t hidden = list.shard().token_shard * model.hidden;
  for (std::int64_t module = 0; module < model.predicted_tokens; ++module) {
    list.elementwise("token_embedding", Pass::kForward, hidden, 2.0 * list.element());
    list.norm_forward("prediction_embedding_norm");
    list.norm_forward("prediction_hidden_norm");
    list.elementwise("prediction_concat", Pass::kForward, 2 * hidden, 2.0 * list.element());
    list.column_forward(projection(list));
    list.collective(CollectiveOp::kAllGather, Pass::kForward, list.hidden_tensor());
    list.append(layer_forward(model, last_kind(model), list.shape(), list.options()));
    list.norm_forward("final_norm");
    logits_forward(list);
  }
}

void predicted_tokens_backward(OperatorList& list) {
  const ModelSpec& model = list.model();
  const std::int64_t hidden = list.shard().token_shard * model.hidden;
  for (std::int64_t module = 0; module < model.predicted_tokens; ++module) {
    logits_backward(list);
    list.norm_backward("final_norm");
    list.append(layer_backward(model, last_kind(model), list.shape(), list.options()));
    list.collective(CollectiveOp::kReduceScatter, Pass::kDgrad, list.hidden_tensor());
    list.column_backward(projection(list));
    list.elementwise("prediction_split", Pass::kDgrad, 2 * hidden, 2.0 * list.element());
    list.norm_backward("prediction_hidden_norm");
    list.norm_backward("prediction_embedding_norm");
    list.elementwise("embedding_gradient", Pass::kWgrad, hidden, 2.0 * list.element());
    // The hidden state went on to the model's own head too.
    list.residual_gradient_add();
  }
}

}  // namespace trainyard
