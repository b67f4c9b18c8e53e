#pragma once
// The program written down for those who ask what would be simulated; nothing here takes part in a prediction.
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kernel_costs.hpp"
#include "models/operators.hpp"
#include "sim/program/program.hpp"
#include "sim/scenario/scenario.hpp"

namespace trainyard {

// Device time as the program has it, at the framework's share of isolated rates; none of collectives.
struct ListedOperator {
  Operator op;
  Seconds time{};
};
using OperatorListing = std::vector<ListedOperator>;

// The operators of one layer of a kind, of the embedding or of the head, in the order of issue.
struct ListedPart {
  std::string name;  // "embedding", "layer", "layer with experts", "head"
  OperatorListing forward;
  OperatorListing recompute;  // in front of the backward pass, where the layer is recomputed
  OperatorListing backward;   // where it is split, Operator::pass tells its halves apart
};

std::string part_name(const ModelSpec& model, const LayerKind& kind);
// As price_model() prices them: `shard` is the layout's, or one of its expert_shards.
std::vector<ListedPart> list_parts(const Scenario& scenario, const ShardShape& shard, const KernelCosts& costs);

// Operations of a rank class that are alike: same name, stream, device time and communications.
struct ListedOperation {
  Operation first;
  std::vector<CommunicationId> communications;
  std::int64_t count = 0;
};
// In the order in which they are first issued.
std::vector<ListedOperation> list_operations(const RankProgram& program);

}  // namespace trainyard
