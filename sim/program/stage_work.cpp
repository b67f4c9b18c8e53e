#include "sim/program/stage_work.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/memory/recompute.hpp"

namespace trainyard {
namespace {

void append(PricedPass& pass, PricedPass more) {
  pass.insert(pass.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

}  // namespace

namespace {

// Collects operators into steps.
class Pricing {
 public:
  Pricing(const KernelCosts& costs, const Issue& issue, const std::string& prefix)
      : costs_(costs), issue_(issue), prefix_(prefix) {}

  void add(const Operator& op) {
    join_finished();
    if (const auto* collective = std::get_if<GroupCollective>(&op.work)) {
      end_run();
      pass_.emplace_back(*collective);
    } else if (std::holds_alternative<HostSync>(op.work)) {
      end_run();
      pass_.emplace_back(HostSync{});
    } else {
      first_ = run_.run.kernels == 0 ? op.name : first_;
      last_ = op.name;
      append(op);
    }
    for (int& left : beside_) {
      --left;
    }
    if (const auto* collective = std::get_if<GroupCollective>(&op.work);
        collective != nullptr && collective->overlapped_operators > 0) {
      beside_.push_back(collective->overlapped_operators);
    }
  }

  PricedPass finish() {
    end_run();
    pass_.insert(pass_.end(), beside_.size(), JoinCollective{});
    return std::move(pass_);
  }

 private:
  void append(const Operator& op) {
    std::visit(
        [&](const auto& work) {
          if constexpr (!std::is_same_v<std::decay_t<decltype(work)>, GroupCollective> &&
                        !std::is_same_v<std::decay_t<decltype(work)>, HostSync>) {
            const KernelWork kernel(work);
            const KernelSensitivity alone = costs_.sensitivity(kernel);
            const double rate = issue_.rate_of(kernel);
            run_.run.append(issue_.host_per_operator, costs_.time(kernel) / rate,
                            {.multiprocessors = alone.multiprocessors / rate, .memory = alone.memory / rate});
          }
        },
        op.work);
  }

  // Collectives whose overlapped operators have all passed are waited for now, oldest first.
  void join_finished() {
    while (!beside_.empty() && beside_.front() <= 0) {
      end_run();
      pass_.emplace_back(JoinCollective{});
      beside_.erase(beside_.begin());
    }
  }

  void end_run() {
    if (run_.run.kernels > 0) {
      run_.name =
          first_ == last_ ? fmt::format("{} {}", prefix_, first_) : fmt::format("{} {} .. {}", prefix_, first_, last_);
      pass_.emplace_back(std::move(run_));
    }
    run_ = {};
  }

  const KernelCosts& costs_;
  const Issue& issue_;
  const std::string& prefix_;
  PricedPass pass_;
  PricedRun run_;
  std::string_view first_;
  std::string_view last_;
  std::vector<int> beside_;  // of each asynchronous collective: operators it may still run beside
};

}  // namespace

PricedPass price(const std::vector<Operator>& operators, const KernelCosts& costs, const Issue& issue,
                 const std::string& prefix) {
  Pricing pricing(costs, issue, prefix);
  for (const Operator& op : operators) {
    pricing.add(op);
  }
  return pricing.finish();
}

double memory_rate(const Scenario& scenario) {
  const FrameworkProfile& framework = scenario.framework;
  const bool is_narrow = storage_bytes_per_element(scenario.training.precision) < bytes_per_element(Precision::kFp32);
  return scenario.model.network ? 1.0 : framework.memory_rate * (is_narrow ? framework.memory_rate_16_bit : 1.0);
}

// Megatron's sequence-parallel linears always run their backward collectives beside the other GEMM, whatever the
// setting for plain tensor parallelism. Source: Megatron-LM tensor_parallel/layers.py.
OperatorOptions operator_options(const Scenario& scenario) {
  OperatorOptions options = scenario.framework.operators;
  options.chunked_tensor_collectives = scenario.layout.tp_overlap;
  if (scenario.layout.sequence_parallel == SequenceParallel::kOn) {
    options.async_tensor_collectives = TensorOverlap::kOn;
  }
  return options;
}

std::vector<Operator> half_of(const std::vector<Operator>& operators, BackwardHalf half) {
  const auto belongs = [half](const Operator& op) {
    return (op.pass == Pass::kWgrad) == (half == BackwardHalf::kWeights);
  };
  std::vector<Operator> out;
  for (auto op = operators.begin(); op != operators.end(); ++op) {
    if (!belongs(*op)) {
      continue;
    }
    out.push_back(*op);
    if (auto* collective = std::get_if<GroupCollective>(&out.back().work)) {
      const auto left = static_cast<int>(operators.end() - op) - 1;
      const auto beside = op + 1 + std::min(left, collective->overlapped_operators);
      collective->overlapped_operators = static_cast<int>(std::count_if(op + 1, beside, belongs));
    }
  }
  return out;
}

PricedModel price_model(const Scenario& scenario, const ShardShape& shard, const KernelCosts& costs) {
  const ModelSpec& model = scenario.model;
  const OperatorOptions options = operator_options(scenario);
  const FrameworkProfile& framework = scenario.framework;
  const Issue forward_issue{framework.host.forward_operator, framework.kernel_rate, memory_rate(scenario)};
  const Issue backward_issue{framework.host.backward_operator, framework.kernel_rate, memory_rate(scenario)};
  const auto forward = [&](const std::vector<Operator>& operators, const std::string& prefix) {
    return price(operators, costs, forward_issue, prefix);
  };
  const auto backward = [&](const std::vector<Operator>& operators, const std::string& prefix) {
    return price(operators, costs, backward_issue, prefix);
  };

  const auto backward_halves = [&](const std::vector<Operator>& operators, const std::string& prefix) {
    return PricedBackward{.whole = backward(operators, prefix),
                          .inputs = backward(half_of(operators, BackwardHalf::kInputs), prefix + " inputs"),
                          .weights = backward(half_of(operators, BackwardHalf::kWeights), prefix + " weights")};
  };

  PricedModel priced;
  priced.embedding_forward = forward(embedding_forward(model, shard, options), "embedding forward");
  priced.embedding_backward = backward_halves(embedding_backward(model, shard, options), "embedding backward");
  priced.head_forward = forward(head_forward(model, shard, options), "head forward");
  priced.head_backward = backward_halves(head_backward(model, shard, options), "head backward");
  for (const LayerKind& kind : layer_kinds(model)) {
    PricedLayer layer;
    layer.forward = forward(layer_forward(model, kind, shard, options), "forward");
    // What is recomputed runs forward code from within the backward pass, so at forward host cost.
    const PricedPass recomputed =
        forward(layer_recompute(model, kind, shard, options, recompute_plan(scenario.training, 0)), "recompute");
    layer.backward = backward_halves(layer_backward(model, kind, shard, options), "backward");
    layer.recomputed_backward = {.whole = recomputed, .inputs = recomputed, .weights = layer.backward.weights};
    append(layer.recomputed_backward.whole, PricedPass(layer.backward.whole));
    append(layer.recomputed_backward.inputs, PricedPass(layer.backward.inputs));
    priced.layers.emplace(kind, std::move(layer));
  }
  return priced;
}

}  // namespace trainyard
