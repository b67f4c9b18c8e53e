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

// Elements that a step reduces, every one as often as it is reduced.
double reduced_elements(const Scenario& scenario, double elements) {
  return elements *
         (scenario.training.reduces_each_micro_batch() ? static_cast<double>(scenario.micro_batches()) : 1.0);
}

// How many buckets that is; none where buckets are whole units, which count with the units' passes.
double buckets(const Scenario& scenario, double elements) {
  const Training& training = scenario.training;
  const auto smallest = training.data_parallel_traits().smallest_bucket;
  if (scenario.layout.data_ranks() == 1 || smallest == nullptr) {
    return 0.0;
  }
  const double bucket = smallest(training.data_parallel, bytes_per_element(training.grad_dtype));
  return reduced_elements(scenario, elements) / std::max(1.0, bucket);
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
  return static_cast<double>(scenario.micro_batches()) * of_micro_batch +
         buckets(scenario, static_cast<double>(layout.stage_parameters[stage]));
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
