#pragma once
// A pass through a part of the model, priced: runs of kernels with the collectives of the layers between them.
#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "kernels/kernel_costs.hpp"
#include "models/operators.hpp"
#include "sim/layout/layout.hpp"
#include "sim/program/program.hpp"

namespace trainyard {

struct PricedRun {
  KernelRun run;
  std::string name;  // first and last kernel of the run
};

// From here on the data flow waits for the oldest collective that was started asynchronously and not yet joined.
struct JoinCollective {};

// Steps follow the operators; kernels with nothing between them are joined into one run.
using PricedStep = std::variant<PricedRun, GroupCollective, JoinCollective, HostSync>;
using PricedPass = std::vector<PricedStep>;

// A backward pass whole, or split into the gradients of the inputs (with what is recomputed) and of the weights.
struct PricedBackward {
  PricedPass whole;
  PricedPass inputs;
  PricedPass weights;
};

struct PricedLayer {
  PricedPass forward;
  PricedBackward backward;             // of a layer that is not recomputed
  PricedBackward recomputed_backward;  // of one that is: recomputation included
};

// What every stage is composed of; layers of one kind are alike.
struct PricedModel {
  PricedPass embedding_forward;
  PricedBackward embedding_backward;
  std::map<LayerKind, PricedLayer> layers;
  PricedPass head_forward;
  PricedBackward head_backward;
};

// What the framework fuses and overlaps in this layout.
OperatorOptions operator_options(const Scenario& scenario);
// Of a profile's memory_rate and memory_rate_16_bit, what holds here: it is of the pointwise kernels of transformers;
// those of networks of layers are priced as PyTorch's and cuDNN's were measured.
double memory_rate(const Scenario& scenario);

// The operators of one of the two halves of a split backward pass. What ran beside a collective in the fused order and
// went to the other half no longer does.
enum class BackwardHalf { kInputs, kWeights };
std::vector<Operator> half_of(const std::vector<Operator>& operators, BackwardHalf half);

// `shard` is the layout's, or one of its expert_shards.
PricedModel price_model(const Scenario& scenario, const ShardShape& shard, const KernelCosts& costs);

// How the kernels of a pass are issued.
struct Issue {
  Seconds host_per_operator{};
  double kernel_rate = 1.0;  // FrameworkProfile::kernel_rate
  double memory_rate = 1.0;  // and memory_rate

  double rate_of(const KernelWork& kernel) const {
    return std::holds_alternative<MemoryBound>(kernel) ? kernel_rate * memory_rate : kernel_rate;
  }
};

// Joins operators into priced steps. Every kernel and every collective costs the host one issue.
PricedPass price(const std::vector<Operator>& operators, const KernelCosts& costs, const Issue& issue,
                 const std::string& prefix);

}  // namespace trainyard
