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
  const DataParallelName strategy = scenario.training.data_parallel.strategy;
  const std::string name(kDataParallelNames.name_of(strategy));
  const bool is_deepspeed = strategy == DataParallelName::kDeepspeed;
  const bool shards_weights = is_fsdp(strategy) || (is_deepspeed && scenario.training.zero_stage == 3);
  if (offload.weights > 0.0 && !shards_weights) {
    place.fail("/weights", "only sharded parameters can live on the host",
               fmt::format("{} in ZeRO stage {}", name, scenario.training.zero_stage),
               "deepspeed in stage 3, fsdp or hsdp", "set training.data_parallel and zero_stage");
  }
  if (is_fsdp(strategy) && offload.optimizer != offload.weights) {
    place.fail("/optimizer", "FSDP keeps parameters, gradients and optimizer on the host together",
               fmt::format("{} with weights {}", offload.optimizer, offload.weights), "the same for both",
               "leave optimizer out");
  }
  if (offload.optimizer > 0.0 && is_deepspeed && scenario.training.zero_stage == 0) {
    place.fail("/optimizer", "DeepSpeed offloads the optimizer of ZeRO stages 1 to 3", "stage 0", "stage 1, 2 or 3",
               "raise training.zero_stage");
  }
  if (offload.optimizer > 0.0 && strategy == DataParallelName::kDdp) {
    place.fail("/optimizer", "no optimizer for DDP runs on the host", name, "megatron, deepspeed, fsdp, hsdp",
               "set training.data_parallel");
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
