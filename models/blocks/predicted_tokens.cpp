// Multi-token prediction: modules after the last layer that each see one token further. Source: DeepSeek-V3, arXiv
// 2412.19437, section 2.2; Megatron-LM core/transformer/multi_token_prediction.py. Embedding and output matrix are the
// model's own, so a stage that runs these modules holds both.
#include <utility>

#include "models/blocks/ends.hpp"
#include "models/blocks/layer.hpp"
#include "models/blocks/linear.hpp"
#include "models/blocks/norm.hpp"
#include "models/blocks/residual.hpp"

namespace trainyard {
namespace {

void module_norm(Description& description, std::string_view name) {
  const Norm norm = of_hidden(description, name);
  norm_kernels(description, norm, hidden_norm_input(description, "prediction_norm_inputs"));
  norm_weights(description, norm, 1, CountedWith::kPrediction);
}

// Two hidden widths in, one out.
void projection(Description& description) {
  const std::int64_t hidden = description.model().hidden;
  const std::int64_t tokens = description.shard().tokens;
  const std::int64_t matrix = 2 * hidden * hidden;
  linear_kernels(
      description,
      {.name = "prediction_projection", .in = 2 * hidden, .outputs = {divide_up(hidden, description.shape().tp)}},
      Cut::kColumns, tokens,
      description.written("prediction_projection_input", 2 * description.hidden_shard(), operand_element(description)));
  description.weight({.elements = matrix,
                      .multiplied = static_cast<double>(matrix),
                      .tokens = tokens,
                      .counted = CountedWith::kPrediction,
                      .rows = hidden});
  description.step(
      {.forward =
           [](OperatorList& list) { list.collective(CollectiveOp::kAllGather, Pass::kForward, list.hidden_tensor()); },
       .backward =
           [](OperatorList& list) {
             list.collective(CollectiveOp::kReduceScatter, Pass::kDgrad, list.hidden_tensor());
           }});
}

Description prediction_module(const ShardContext& context) {
  Description description(context);
  const std::int64_t hidden = description.hidden_shard();
  const Bytes e = description.element();
  branch_off(description);  // the hidden state goes on to the model's own head too
  description.step(
      {.forward = [=](OperatorList& list) { list.elementwise("token_embedding", Pass::kForward, hidden, 2.0 * e); },
       .backward = [=](OperatorList& list) { list.elementwise("embedding_gradient", Pass::kWgrad, hidden, 2.0 * e); }});
  module_norm(description, "prediction_embedding_norm");
  module_norm(description, "prediction_hidden_norm");
  description.elementwise(2 * hidden, {"prediction_concat", 2.0 * e}, {"prediction_split", 2.0 * e});
  projection(description);
  Description last(context);
  layer(last);
  description.append(std::move(last), CountedWith::kPrediction);
  module_norm(description, "final_norm");
  logits(description);
  const std::int64_t output = description.shard().vocab * description.model().hidden;
  // Of the model's own output matrix, once more.
  description.weight({.multiplied = static_cast<double>(output), .tokens = description.shard().tokens});
  return description;
}

}  // namespace

void predicted_tokens(Description& description) {
  for (std::int64_t module = 0; module < description.model().predicted_tokens; ++module) {
    description.append(prediction_module(description), CountedWith::kPrediction);
  }
}

}  // namespace trainyard
