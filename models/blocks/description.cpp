#include "models/blocks/description.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include "sim/base/error.hpp"

namespace trainyard {
namespace {

RecomputeModules modules_of(const RecomputePlan& plan) {
  RecomputeModules out;
  for (const RecomputeModule module : plan.modules) {
    out.set(static_cast<std::size_t>(module));
  }
  return plan.granularity == Recompute::kSelective ? out : RecomputeModules{};
}

void run(const std::function<void(OperatorList&)>& kernels, OperatorList& list) {
  if (kernels) {
    kernels(list);
  }
}

}  // namespace

void Description::run_forward(const std::vector<PlacedStep>& steps, OperatorList& list) {
  for (const PlacedStep& placed : steps) {
    run(placed.step.forward, list);
  }
}

// Last first, but for those that wait for an earlier one.
void Description::run_backward(const std::vector<PlacedStep>& steps, OperatorList& list) {
  for (std::size_t i = steps.size(); i-- > 0;) {
    if (!steps[i].backward_after) {
      run(steps[i].step.backward, list);
    }
    for (std::size_t waiting = steps.size(); waiting-- > i;) {
      if (steps[waiting].backward_after == i) {
        run(steps[waiting].step.backward, list);
      }
    }
  }
}

void Description::step(Step step) {
  steps_.push_back({.step = std::move(step), .modules = modules_, .backward_after = std::nullopt});
}

void Description::elementwise(std::int64_t elements, const Kernel& forward, const Kernel& backward) {
  step({.forward = [=](OperatorList& l) { l.elementwise(forward.name, Pass::kForward, elements, forward.per_element); },
        .backward =
            [=](OperatorList& l) { l.elementwise(backward.name, Pass::kDgrad, elements, backward.per_element); }});
}

void Description::backward_after(std::size_t step, std::size_t later) {
  TY_ASSERT(later < step && step < steps_.size());
  steps_[step].backward_after = later;
}

void Description::append(Description other, CountedWith counted) {
  const std::size_t offset = steps_.size();
  for (PlacedStep& placed : other.steps_) {
    placed.modules |= modules_;
    if (placed.backward_after) {
      *placed.backward_after += offset;
    }
    steps_.push_back(std::move(placed));
  }
  kept_.insert(kept_.end(), other.kept_.begin(), other.kept_.end());
  for (Weight& weight : other.weights_) {
    weight.counted = counted;
    weights_.push_back(weight);
  }
  weight_gradients_ += other.weight_gradients_;
  products_ += other.products_;
}

void Description::keep(const Tensor& tensor) {
  if (tensor.elements > 0 && tensor.element > Bytes{}) {
    kept_.push_back({.tensor = tensor, .input_of = std::nullopt});
  }
}

void Description::keep_for_weights(const Tensor& input, std::int64_t gradients) {
  weight_gradients_ += gradients;
  const auto is_same = [&](const KeptTensor& other) { return other.tensor.name == input.name; };
  auto kept = std::find_if(kept_.begin(), kept_.end(), is_same);
  if (kept == kept_.end() && input.elements > 0) {
    kept = kept_.insert(kept_.end(), {.tensor = input, .input_of = std::nullopt});
  }
  if (kept != kept_.end()) {
    kept->is_for_weights = true;
  }
}

void Description::keep_as_input(const Tensor& tensor, RecomputeModule module) {
  kept_.push_back({.tensor = tensor, .input_of = module});
}

void Description::keep_cast_weights() {
  std::int64_t elements = 0;
  for (const Weight& weight : weights_) {
    elements += weight.elements;
  }
  keep("cast_weights", elements, is_autocast() ? element() : Bytes{});
}

std::vector<Operator> Description::forward() const {
  OperatorList list(*this);
  run_forward(steps_, list);
  return list.take();
}

std::vector<Operator> Description::backward() const {
  OperatorList list(*this);
  run_backward(steps_, list);
  return list.take();
}

Step Description::as_one(std::vector<PlacedStep> steps) {
  const auto shared = std::make_shared<const std::vector<PlacedStep>>(std::move(steps));
  return {.forward = [shared](OperatorList& list) { run_forward(*shared, list); },
          .backward = [shared](OperatorList& list) { run_backward(*shared, list); }};
}

std::vector<Operator> Description::repeated(const RecomputePlan& plan) const {
  const RecomputeModules modules = modules_of(plan);
  OperatorList list(*this);
  for (const PlacedStep& placed : steps_) {
    if (plan.granularity == Recompute::kFull || (placed.modules & modules).any()) {
      run(placed.step.forward, list);
    }
  }
  return list.take();
}

std::vector<ActivationTerm> Description::kept(const RecomputePlan& plan) const {
  std::vector<ActivationTerm> terms;
  const auto add = [&](const Tensor& tensor) {
    terms.push_back({.name = tensor.name, .bytes = static_cast<double>(tensor.elements) * tensor.element});
  };
  if (plan.granularity == Recompute::kFull) {
    TY_ASSERT(input_.has_value());
    add(*input_);
    return terms;
  }
  const RecomputeModules modules = modules_of(plan);
  for (const KeptTensor& kept : kept_) {
    const bool is_needed = !kept.input_of || modules[static_cast<std::size_t>(*kept.input_of)];
    if (is_needed && (kept.tensor.written_again_by & modules).none()) {
      add(kept.tensor);
    }
  }
  return terms;
}

Bytes Description::kept_for_weights() const {
  Bytes total = static_cast<double>(weight_gradients_) * element();
  for (const KeptTensor& kept : kept_) {
    total += kept.is_for_weights ? static_cast<double>(kept.tensor.elements) * kept.tensor.element : Bytes{};
  }
  return total;
}

Bytes total_bytes(const std::vector<ActivationTerm>& terms) {
  Bytes total{};
  for (const ActivationTerm& term : terms) {
    total += term.bytes;
  }
  return total;
}

Flops Description::model_flops() const {
  // Per multiply-add: a frozen matrix needs no gradient of its own.
  constexpr double kTrained = 6.0;
  constexpr double kFrozen = 4.0;
  double flops = kTrained * products_;
  for (const Weight& weight : weights_) {
    const bool is_frozen = model().adapters && weight.of == WeightOf::kBase;
    flops += (is_frozen ? kFrozen : kTrained) * weight.multiplied * static_cast<double>(weight.tokens);
  }
  return {flops};
}

}  // namespace trainyard
