#include "sim/program/program_effort.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "sim/program/program.hpp"

namespace trainyard {
namespace {

// Messages, waits and host work that a pass of a chunk has beside its layers; the gathers and reductions that a unit's
// pass may have beside its kernels.
constexpr double kBesidePass = 8.0;
constexpr double kBesideUnit = 3.0;

// An operation's four times (Timeline), and what the engine keeps beside them.
constexpr double kSimulatedBytes = 36.0;
// An operation, what it waits for and its communications; the engine's index of it by stream.
constexpr double kProgramBytes = sizeof(Operation) + 3.0 * sizeof(OperationId) + 2.0 * sizeof(std::uint32_t);

double steps(const PricedPass& forward, const PricedBackward& backward) {
  return static_cast<double>(forward.size() + backward.whole.size());
}

// How often a step's gradients are reduced: once, or with every micro-batch.
double reductions(const Scenario& scenario) {
  const Training& training = scenario.training;
  const DataParallelName strategy = training.data_parallel.strategy;
  const bool has_choice = strategy == DataParallelName::kDdp || is_fsdp(strategy);
  const bool every = has_choice ? training.data_parallel.gradient_sync == GradientSync::kEveryMicroBatch
                                : strategy == DataParallelName::kDeepspeed && training.zero_stage >= 2;
  return every ? static_cast<double>(scenario.micro_batches()) : 1.0;
}

// Elements of the smallest bucket that the strategy fills again and again.
double smallest_bucket(const Scenario& scenario) {
  const DataParallelOptions& options = scenario.training.data_parallel;
  switch (options.strategy) {
    case DataParallelName::kDdp:
      return options.bucket / bytes_per_element(scenario.training.grad_dtype);
    case DataParallelName::kDeepspeed:
      return std::min(options.reduce_bucket_size, options.allgather_bucket_size);
    case DataParallelName::kMegatron:  // whole units
    case DataParallelName::kFsdp:
    case DataParallelName::kHsdp:
      break;
  }
  return 1e18;
}

std::string remedy(const Scenario& scenario, double micro_batches) {
  std::string text;
  if (simulates_every_rank(scenario)) {
    text += "use --network analytic, leave fold on and jitter out, or fewer GPUs; ";
  }
  return text + fmt::format("use fewer micro-batches (now {:.0f}) or larger gradient buckets", micro_batches);
}

}  // namespace

double expected_operations(const Scenario& scenario, const Layout& layout, const PricedModel& model,
                           std::size_t stage) {
  double of_micro_batch = 0.0;
  for (const Chunk& chunk : layout.stages[stage].chunks) {
    of_micro_batch += kBesidePass;
    if (chunk.embedding == Holds::kYes) {
      of_micro_batch += kBesideUnit + steps(model.embedding_forward, model.embedding_backward);
    }
    if (chunk.head == Holds::kYes) {
      of_micro_batch += kBesideUnit + steps(model.head_forward, model.head_backward);
    }
    for (std::int64_t layer = 0; layer < chunk.layers; ++layer) {
      const PricedLayer& priced = model.layers.at(layer_kind(scenario.model, chunk.first_layer + layer));
      of_micro_batch += kBesideUnit + std::max(steps(priced.forward, priced.backward),
                                               steps(priced.forward, priced.recomputed_backward));
    }
  }
  const double elements = static_cast<double>(layout.stage_parameters[stage]);
  const double buckets = scenario.layout.data_ranks() > 1
                             ? reductions(scenario) * elements / std::max(1.0, smallest_bucket(scenario))
                             : 0.0;
  return static_cast<double>(scenario.micro_batches()) * of_micro_batch + buckets;
}

bool simulates_every_rank(const Scenario& scenario) {
  const VariationOptions& variation = scenario.variation;
  return variation.jitters() || variation.gpu_spread > 0.0 ||
         (scenario.network != Network::kAnalytic && scenario.fold == Fold::kOff);
}

void require_program_effort(const Scenario& scenario, const Layout& layout, std::span<const RanksOfKind> kinds) {
  // What every rank costs, simulated or not: its groups, its flows, their routes and colours.
  constexpr double kEventsOfRank = 30.0;
  constexpr double kBytesOfRank = 4096.0;
  const auto ranks = static_cast<double>(scenario.gpus);
  Effort needed{.events = ranks * kEventsOfRank, .bytes = ranks * kBytesOfRank};
  const bool every_rank = simulates_every_rank(scenario);
  for (const RanksOfKind& kind : kinds) {
    const double operations = expected_operations(scenario, layout, *kind.model, kind.stage);
    const double simulated = operations * (every_rank ? static_cast<double>(kind.ranks) : 1.0);
    needed.events += simulated;
    needed.bytes += operations * kProgramBytes + simulated * kSimulatedBytes;
  }
  require_effort(needed, {.file = "scenario",
                          .pointer = "/gpus",
                          .remedy = remedy(scenario, static_cast<double>(scenario.micro_batches()))});
}

}  // namespace trainyard
