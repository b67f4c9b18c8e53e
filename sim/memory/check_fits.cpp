#include "sim/memory/check_fits.hpp"

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "sim/base/quantity_text.hpp"

namespace trainyard {
namespace {

// What this job has not exhausted yet.
std::string remedies(const Scenario& scenario) {
  constexpr std::int64_t kLong = 16384;  // tokens, from which context parallelism is usual
  const Parallelism& layout = scenario.layout;
  const Training& training = scenario.training;
  const bool shards_all = training.does(&DataParallelTraits::gathers_for_use);
  const std::array<std::pair<bool, const char*>, 9> known = {{
      {layout.tp < scenario.cluster.gpus_per_node && scenario.model.heads % (2 * layout.tp) == 0, "raise tp"},
      {layout.pp * layout.vpp < scenario.model.layers && !shards_all, "raise pp"},
      {layout.cp > 1 || training.seq_len >= kLong, "raise cp"},
      {scenario.model.experts && layout.ep < scenario.model.experts->count, "raise ep"},
      {!shards_all && layout.data_ranks() > 1, "raise zero_stage"},
      {training.recompute != Recompute::kFull, "recompute more"},
      {training.micro_batch > 1, "lower micro_batch"},
      {!training.offload.any(), "offload (training.offload)"},
      {true, "use more GPUs"},
  }};
  std::string out;
  for (const auto& [helps, words] : known) {
    out += helps ? fmt::format("{}, ", words) : "";
  }
  return out + "or ask with --allow-oom";
}

}  // namespace

void check_fits(const MemoryEstimate& memory, const Scenario& scenario) {
  if (memory.fits()) {
    return;
  }
  if (memory.peak <= memory.capacity) {
    throw UserError({.found = fmt::format("{} on the fullest node", to_text(memory.host_peak)),
                     .allowed = fmt::format("{} of host memory per node", to_text(memory.host_capacity)),
                     .problem = "what is offloaded, and the samples that wait, do not fit in the memory of the hosts",
                     .remedy = "lower the fractions of training.offload or input.prefetch, or ask with --allow-oom"},
                    ExitCode::kInfeasible);
  }
  const std::size_t fullest = memory.fullest();
  std::string terms;
  for (const auto& [name, use] : kMemoryUseNames.rows) {
    const Bytes bytes = memory.stages[fullest].uses[use];
    if (bytes > Bytes{}) {
      terms += fmt::format("{}{} {}", terms.empty() ? "" : ", ", name, to_text(bytes));
    }
  }
  throw UserError({.found = fmt::format("{} on stage {} ({})", to_text(memory.peak), fullest, terms),
                   .allowed = fmt::format("{} per GPU", to_text(memory.capacity)),
                   .problem = "the layout does not fit in memory",
                   .remedy = remedies(scenario)},
                  ExitCode::kInfeasible);
}

}  // namespace trainyard
