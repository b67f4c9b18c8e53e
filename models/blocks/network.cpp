// The layers of a network by type, and how they follow one another.
#include "models/blocks/network.hpp"

#include <algorithm>
#include <vector>

#include "models/blocks/network_values.hpp"

namespace trainyard {
namespace {

using Layers = std::vector<NetworkLayer>;

Value walk(Description& description, const Layers& layers, Value& input);

Value written(const Description& description, std::string_view name, const NetworkLayer& layer) {
  return {name, batch_elements(description, layer.out), description.element()};
}

// Functions whose slope follows from what they wrote keep that and may overwrite what they read; others keep their
// input. Source: PyTorch, tools/autograd/derivatives.yaml (threshold, sigmoid and tanh by result; hardtanh, silu and
// gelu by self).
bool keeps_output(Nonlinearity function) {
  switch (function) {
    case Nonlinearity::kRelu:
    case Nonlinearity::kSigmoid:
    case Nonlinearity::kTanh:
      return true;
    case Nonlinearity::kRelu6:
    case Nonlinearity::kSilu:
    case Nonlinearity::kGelu:
      return false;
  }
  return false;
}

Value activated(Description& description, const NetworkLayer& layer, Value& input) {
  const Bytes e = description.element();
  const std::string_view name = kNonlinearityNames.name_of(layer.nonlinearity);
  description.elementwise(batch_elements(description, layer.out), {name, 2.0 * e}, {name, 3.0 * e});
  Value out = written(description, "activation_output", layer);
  (keeps_output(layer.nonlinearity) ? out : input).keep(description);
  return out;
}

// Cycles of a multiprocessor for each tap of a pool's window. Source: this project's measurements on an H100, records
// of max_pool_fwd and max_pool_bwd at 411 MB, in either layout.
constexpr double kTapForward = 0.5;
constexpr double kTapBackward = 1.3;

// Windows read the same numbers again and again, and gradients find their way back by looking over the windows that
// a number lies in.
void pooled(Description& description, const NetworkLayer& layer, std::string_view name, Bytes moved) {
  const double taps = static_cast<double>(batch_elements(description, layer.out)) *
                      static_cast<double>(layer.kernel_height * layer.kernel_width);
  description.step({.forward =
                        [=](OperatorList& list) {
                          list.memory_bound(name, Pass::kForward, {.traffic = moved, .cycles = kTapForward * taps});
                        },
                    .backward =
                        [=](OperatorList& list) {
                          list.memory_bound(name, Pass::kDgrad, {.traffic = moved, .cycles = kTapBackward * taps});
                        }});
}

// Each output is written with the place of its maximum, by which the gradient goes back among zeros. Source: PyTorch,
// aten/src/ATen/native/cuda/DilatedMaxPool2d.cu: indices of 64 bits.
Value max_pool(Description& description, const NetworkLayer& layer, Value& input) {
  constexpr Bytes kIndex{8.0};
  const Bytes e = description.element();
  const std::int64_t out = batch_elements(description, layer.out);
  pooled(description, layer, "max_pool",
         static_cast<double>(batch_elements(description, layer.in)) * e + static_cast<double>(out) * (e + kIndex));
  input.keep(description);
  description.keep("max_pool_indices", out, kIndex);
  return written(description, "max_pool_output", layer);
}

// The mean of a channel is one sweep, and its gradient one number for all.
Value global_pool(Description& description, const NetworkLayer& layer, Value& /*input*/) {
  const std::int64_t moved = batch_elements(description, layer.in) + batch_elements(description, layer.out);
  description.elementwise(moved, {"global_pool", description.element()}, {"global_pool", description.element()});
  return written(description, "global_pool_output", layer);
}

Value mean_pool(Description& description, const NetworkLayer& layer, Value& /*input*/) {
  const std::int64_t moved = batch_elements(description, layer.in) + batch_elements(description, layer.out);
  pooled(description, layer, "average_pool", static_cast<double>(moved) * description.element());
  return written(description, "average_pool_output", layer);
}

Value dropped_out(Description& description, const NetworkLayer& layer, Value& /*input*/) {
  const std::int64_t elements = batch_elements(description, layer.out);
  const Bytes moved = 2.0 * description.element() + kMask;
  description.elementwise(elements, {"dropout", moved}, {"dropout_backward", moved});
  description.keep("dropout_mask", elements, kMask);
  return written(description, "dropout_output", layer);
}

Value flatten(Description& description, const NetworkLayer& layer, Value& /*input*/) {
  return written(description, "flatten_output", layer);
}

Value convolved(Description& description, const NetworkLayer& layer, Value& input) {
  convolution(description, layer);
  input.keep(description);
  return written(description, "conv_output", layer);
}

Value normed_by_batch(Description& description, const NetworkLayer& layer, Value& input) {
  batch_norm(description, layer);
  input.keep(description);
  return written(description, "batch_norm_output", layer);
}

Value normed_by_layer(Description& description, const NetworkLayer& layer, Value& input) {
  const std::int64_t elements = batch_elements(description, layer.out);
  const Bytes e = description.residual_element();
  description.elementwise(elements, {"layer_norm", 2.0 * e}, {"layer_norm", 3.0 * e});
  description.weight({.elements = 2 * layer.in.channels, .tensors = 2});
  input.keep(description);
  return written(description, "layer_norm_output", layer);
}

Value multiplied(Description& description, const NetworkLayer& layer, Value& input) {
  dense(description, "linear", layer.in.channels, layer.out.channels,
        description.shape().micro_batch * layer.in.positions(), layer.bias, !layer.is_first);
  input.keep(description);
  return written(description, "linear_output", layer);
}

Value looked_up(Description& description, const NetworkLayer& layer, Value& /*input*/) {
  embedding(description, layer);
  return written(description, "embedding_output", layer);
}

Value attended(Description& description, const NetworkLayer& layer, Value& input) {
  self_attention(description, layer, input);
  return written(description, "attention_output", layer);
}

Value recurred(Description& description, const NetworkLayer& layer, Value& input) {
  lstm(description, layer);
  input.keep(description);
  return written(description, "lstm_output", layer);
}

Value looked_up_in_tables(Description& description, const NetworkLayer& layer, Value& /*input*/) {
  tables(description, layer);
  return written(description, "tables_output", layer);
}

Value interacted(Description& description, const NetworkLayer& layer, Value& input) {
  interaction(description, layer);
  input.keep(description);
  return written(description, "interaction_output", layer);
}

// Gradients of what several branches read are added up.
void fork(Description& description, const NetworkLayer& layer) {
  const std::int64_t elements = layer.is_first ? 0 : batch_elements(description, layer.in);
  const std::size_t sums = layer.branches.size() - 1;
  if (elements > 0 && sums > 0) {
    description.step({.forward = {}, .backward = [=](OperatorList& list) {
                        for (std::size_t i = 0; i < sums; ++i) {
                          list.elementwise("gradient_add", Pass::kDgrad, elements, 3.0 * list.element());
                        }
                      }});
  }
}

bool is_fused(const Description& description) {
  const BatchNormFusion fusion = description.options().batch_norm;
  return fusion == BatchNormFusion::kCompiled ||
         (fusion != BatchNormFusion::kNone && description.options().images == ImageLayout::kNhwc);
}

bool ends_in_norm(const Layers& layers) {
  return !layers.empty() && layers.back().type == NetworkLayerType::kBatchNorm;
}

Value summed(Description& description, const NetworkLayer& layer, Value& input) {
  const std::int64_t elements = batch_elements(description, layer.out);
  fork(description, layer);
  for (const Layers& branch : layer.branches) {
    walk(description, branch, input);
  }
  const std::size_t sums = layer.branches.size() - 1;
  // A batch norm in whose kernel the sum is reads the other branch, and writes that one's gradient.
  const bool has_sum = is_fused(description) && ends_in_norm(layer.branches.front());
  const double swept = has_sum ? 1.0 : 3.0;
  description.step({.forward =
                        [=](OperatorList& list) {
                          for (std::size_t i = 0; i < sums; ++i) {
                            list.elementwise("residual_add", Pass::kForward, elements, swept * list.element());
                          }
                        },
                    .backward = [=](OperatorList& list) {  // otherwise every branch reads the same gradient
                      if (has_sum) {
                        list.elementwise("residual_add", Pass::kDgrad, elements, list.element());
                      }
                    }});
  return written(description, "residual_output", layer);
}

// The gradient of each branch is a part of the whole's, read in place.
Value concatenated(Description& description, const NetworkLayer& layer, Value& input) {
  const std::int64_t elements = batch_elements(description, layer.out);
  fork(description, layer);
  for (const Layers& branch : layer.branches) {
    walk(description, branch, input);
  }
  description.step(
      {.forward =
           [=](OperatorList& list) { list.elementwise("concat", Pass::kForward, elements, 2.0 * list.element()); },
       .backward = {}});
  return written(description, "concat_output", layer);
}

// The gate's gradient is a product as large as the input, summed for each channel.
Value scaled(Description& description, const NetworkLayer& layer, Value& input) {
  const std::int64_t elements = batch_elements(description, layer.out);
  const Bytes e = description.element();
  description.step({.forward = {}, .backward = [=](OperatorList& list) {
                      list.elementwise("gradient_add", Pass::kDgrad, elements, 3.0 * e);
                    }});
  Value gate = walk(description, layer.branches.front(), input);
  input.keep(description);
  gate.keep(description);
  description.step(
      {.forward = [=](OperatorList& list) { list.elementwise("scale", Pass::kForward, elements, 2.0 * e); },
       .backward =
           [=](OperatorList& list) {
             list.elementwise("scale", Pass::kDgrad, elements, 2.0 * e);
             list.elementwise("scale", Pass::kDgrad, elements, 3.0 * e);
             list.elementwise("scale_sum", Pass::kDgrad, elements, e);
           }});
  return written(description, "scale_output", layer);
}

// One function for each type, in the order of NetworkLayerType.
using Describe = Value (*)(Description&, const NetworkLayer&, Value& input);
constexpr std::array kDescribe = {Describe{convolved},       Describe{convolved},       Describe{multiplied},
                                  Describe{normed_by_batch}, Describe{normed_by_layer}, Describe{activated},
                                  Describe{max_pool},        Describe{mean_pool},       Describe{global_pool},
                                  Describe{dropped_out},     Describe{flatten},         Describe{summed},
                                  Describe{concatenated},    Describe{scaled},          Describe{looked_up},
                                  Describe{attended},        Describe{recurred},        Describe{looked_up_in_tables},
                                  Describe{interacted}};

// Whether one kernel does both: a batch norm, or the sum in its kernel, writes what the activation behind it would.
bool is_folded(const Description& description, const NetworkLayer& layer, const NetworkLayer& before) {
  const bool is_norm = before.type == NetworkLayerType::kBatchNorm ||
                       (before.type == NetworkLayerType::kResidual && ends_in_norm(before.branches.front()));
  return is_fused(description) && layer.type == NetworkLayerType::kActivation && is_norm;
}

Value walk(Description& description, const Layers& layers, Value& input) {
  Value* current = &input;
  std::vector<Value> values;
  values.reserve(layers.size());
  for (std::size_t i = 0; i < layers.size(); ++i) {
    if (i > 0 && is_folded(description, layers[i], layers[i - 1])) {
      continue;
    }
    values.push_back(kDescribe[static_cast<std::size_t>(layers[i].type)](description, layers[i], *current));
    current = &values.back();
  }
  return *current;
}

const NetworkUnit& unit_of(const Description& description) {
  return description.model().network->units[static_cast<std::size_t>(description.kind().unit)];
}

}  // namespace

std::int64_t batch_elements(const ShardContext& context, const Extent& extent) {
  return context.shape().micro_batch * extent.elements();
}

void network_unit(Description& description) {
  const NetworkUnit& unit = unit_of(description);
  Value input("unit_input", batch_elements(description, unit.in()), description.element());
  description.set_input(input.tensor());
  walk(description, unit.layers, input);
  description.keep_cast_weights();
}

// PyTorch's log_softmax in fp32 and nll_loss.
void network_loss(Description& description) {
  const std::int64_t elements = batch_elements(description, description.model().network->units.back().out());
  const Bytes e = description.element();
  description.step({.forward =
                        [=](OperatorList& list) {
                          list.elementwise("log_softmax", Pass::kForward, elements, e + kSingle);
                          list.small("loss", Pass::kForward, list.shape().micro_batch, 1);
                        },
                    .backward =
                        [=](OperatorList& list) {
                          list.small("loss", Pass::kDgrad, elements, 1);
                          list.elementwise("log_softmax_backward", Pass::kDgrad, elements, 2.0 * kSingle + e);
                        }});
  description.keep("log_softmax", elements, kSingle);
}

}  // namespace trainyard
