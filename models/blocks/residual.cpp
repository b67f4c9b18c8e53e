#include "models/blocks/residual.hpp"

namespace trainyard {
namespace {

void forward(OperatorList& list, Presence bias) {
  const Bytes residual = list.residual_element();
  const Bytes e = list.element();
  const std::int64_t elements = list.hidden_shard();
  const Bytes mask = list.dropout() ? kMask : Bytes{};
  if (list.options().bias_dropout_add == Fusion::kOn) {
    const bool only_residual = bias == Presence::kAbsent && !list.dropout();
    list.elementwise(only_residual ? "residual_add" : "bias_dropout_add", Pass::kForward, elements,
                     2.0 * residual + e + mask);
    return;
  }
  if (list.dropout()) {
    list.elementwise("dropout", Pass::kForward, elements, 2.0 * e + mask);
  }
  list.elementwise("residual_add", Pass::kForward, elements, 2.0 * residual + e);
}

void backward(OperatorList& list, Presence bias) {
  const Bytes e = list.element();
  const std::int64_t elements = list.hidden_shard();
  list.cast("cast_gradient", Pass::kDgrad, elements);  // from the residual stream to the branch
  if (list.dropout()) {
    list.elementwise("dropout_backward", Pass::kDgrad, elements, 2.0 * e + kMask);
  }
  // Autograd reduces the gradient of the bias that the fused kernel added.
  if (bias == Presence::kPresent && list.options().bias_dropout_add == Fusion::kOn) {
    list.elementwise("bias_gradient", Pass::kWgrad, elements, e);
    list.accumulate_gradient(list.model().hidden);
  }
}

}  // namespace

void branch_off(Description& description) {
  description.step({.forward = {}, .backward = [](OperatorList& list) {
                      list.elementwise("residual_gradient_add", Pass::kDgrad, list.hidden_shard(),
                                       3.0 * list.residual_element());
                    }});
}

void bias_dropout_add(Description& description, Presence bias, std::string_view mask) {
  description.step({.forward = [bias](OperatorList& list) { forward(list, bias); },
                    .backward = [bias](OperatorList& list) { backward(list, bias); }});
  description.keep(mask, description.hidden_shard(), description.dropout() ? kMask : Bytes{});
}

BiasAdded bias_added_after_row(const ShardContext& context) {
  return context.options().bias_dropout_add == Fusion::kOn ? BiasAdded::kByNext : BiasAdded::kByLinear;
}

}  // namespace trainyard
