#include "sim/scenario/offload_checks.hpp"

#include <fmt/format.h>

#include "sim/scenario/mixed_gpus.hpp"
#include "sim/scenario/place.hpp"

namespace trainyard {
namespace {

void check_host(const Place& place, const Scenario& scenario) {
  if (!scenario.gpu_kinds.empty()) {
    place.fail("", "what hosts hold and update is known for nodes that are alike", gpus_text(scenario),
               "a cluster of one GPU", "leave offload out, or name one GPU for all with the key \"gpu\"");
  }
  const NodeTraits& node = scenario.cluster.node;
  if (node.host_link.value <= 0.0) {
    place.fail("", "the cluster describes no way from a GPU to the memory of a host", scenario.cluster.name,
               "a cluster whose nodes have \"pcie\" and \"cpus\"", "choose another cluster, or leave offload out");
  }
  if (scenario.training.offload.optimizer > 0.0 && node.host_bandwidth.value <= 0.0) {
    place.fail("/optimizer", "the update on the host takes as long as its memory, which the cluster does not describe",
               scenario.cluster.name, "a cluster whose node has the key \"host\"",
               R"(add "host": {"memory": "2 TB", "bandwidth": "400 GB/s"} to the cluster's node)");
  }
}

// Who of the strategies can keep what on the host.
void check_strategy(const Place& place, const Scenario& scenario) {
  const OffloadOptions& offload = scenario.training.offload;
  const Training& training = scenario.training;
  const std::string found = fmt::format(
      "{} in ZeRO stage {}", kDataParallelNames.name_of(training.data_parallel.strategy), training.zero_stage);
  constexpr const char* kRemedy = "set training.data_parallel and zero_stage";
  if (offload.weights > 0.0 && !training.does(&DataParallelTraits::gathers_for_use)) {
    place.fail("/weights", "only sharded parameters can live on the host", found,
               strategies_text(&DataParallelTraits::gathers_for_use), kRemedy);
  }
  if (training.has_flat_shards() && offload.optimizer != offload.weights) {
    place.fail("/optimizer", "FSDP keeps parameters, gradients and optimizer on the host together",
               fmt::format("{} with weights {}", offload.optimizer, offload.weights), "the same for both",
               "leave optimizer out");
  }
  if (offload.optimizer > 0.0 && optimizer_traits(training.optimizer).matrices != MatrixUpdate::kNone) {
    place.fail("/optimizer", "hosts update element by element, and the optimizer works with whole matrices",
               std::string(kOptimizerNames.name_of(training.optimizer)), "adam and others without matrix products",
               "set training.optimizer, or leave the share of the optimizer out");
  }
  if (offload.optimizer > 0.0 && !training.does(&DataParallelTraits::updates_on_host)) {
    place.fail("/optimizer", "the strategy has no optimizer that runs on the host", found,
               strategies_text(&DataParallelTraits::updates_on_host), kRemedy);
  }
}

}  // namespace

void check_offload(const Scenario& scenario, const std::string& file) {
  if (scenario.training.offload.any()) {
    const Place place{file, "/training/offload"};
    check_host(place, scenario);
    check_strategy(place, scenario);
  }
}

}  // namespace trainyard
