#include "sim/scenario/resolved.hpp"

#include "sim/scenario/operator_names.hpp"
#include "sim/scenario/pipeline_keys.hpp"
#include "sim/scenario/read_input.hpp"
#include "sim/scenario/read_variation.hpp"

namespace trainyard {

Json resolved_document(const Scenario& scenario, const Json& model, const Json& cluster) {
  const Parallelism& layout = scenario.layout;
  const Training& training = scenario.training;
  Json out;
  out["model"] = model;
  out["cluster"] = cluster;
  if (scenario.gpu_kinds.empty()) {
    out["gpu"] = scenario.gpu.name;
  }
  out["gpus"] = scenario.gpus;
  out["layout"] = {{"tp", layout.tp},
                   {"pp", layout.pp},
                   {"vpp", layout.vpp},
                   {"cp", layout.cp},
                   {"cp_type", kContextParallelNames.name_of(layout.context_parallel)},
                   {"cp_inner", layout.context_inner},
                   {"ep", layout.ep},
                   {"etp", layout.etp},
                   {"dp", layout.dp},
                   {"sequence_parallel", layout.sequence_parallel == SequenceParallel::kOn},
                   {"tp_overlap", layout.tp_overlap == TensorOverlap::kOn},
                   {"ep_overlap", layout.ep_overlap == ExpertOverlap::kOn},
                   {"order", layout.order}};
  if (training.has_flat_shards()) {
    out["layout"]["hsdp_shard"] = layout.hsdp_shard;
  }
  out["training"] = {{"seq_len", training.seq_len},
                     {"micro_batch", training.micro_batch},
                     {"global_batch", training.global_batch},
                     {"precision", kPrecisionNames.name_of(training.precision)},
                     {"optimizer", kOptimizerNames.name_of(training.optimizer)},
                     {"recompute", kRecomputeNames.name_of(training.recompute)},
                     {"zero_stage", training.zero_stage},
                     {"data_parallel", to_json(training.data_parallel)},
                     {"schedule", schedule_text(training)},
                     {"grad_dtype", kPrecisionNames.name_of(training.grad_dtype)},
                     {"optimizer_dtype", kPrecisionNames.name_of(training.optimizer_dtype)},
                     {"master_dtype", kPrecisionNames.name_of(training.master_dtype)},
                     {"weight_copies", training.weight_copies}};
  if (training.recompute == Recompute::kFull) {
    out["training"]["recompute_method"] = kRecomputeMethodNames.name_of(training.recompute_method);
    out["training"]["recompute_layers"] = training.recompute_layers;
  }
  for (const RecomputeModule module : training.recompute_modules) {
    out["training"]["recompute_modules"].push_back(kRecomputeModuleNames.name_of(module));
  }
  if (training.document_len > 0) {
    out["training"]["document_len"] = training.document_len;
  }
  if (training.strategy) {
    out["training"]["strategy"] = update_strategy_json(*training.strategy);
  }
  if (training.offload.any()) {
    out["training"]["offload"] = offload_json(training.offload);
  }
  if (bytes_per_element(training.param_dtype) != storage_bytes_per_element(training.precision)) {
    out["training"]["param_dtype"] = kPrecisionNames.name_of(training.param_dtype);
  }
  out["training"]["distributed_debug"] = kDistributedDebugNames.name_of(training.distributed_debug);
  if (training.collective_algorithm) {
    out["training"]["collective_algorithm"] = name_of(training.collective_algorithm);
  }
  if (scenario.model.experts) {
    out["training"]["experts"] = expert_routing_json(training.experts);
  }
  out["training"]["attention"] = kAttentionNames.name_of(scenario.framework.operators.attention);
  if (scenario.model.network) {
    out["training"]["image_layout"] = kImageLayoutNames.name_of(scenario.framework.operators.images);
  }
  out["training"]["loss_kernel"] = kLossKernelNames.name_of(scenario.framework.operators.cross_entropy);
  echo_pipeline(scenario, out);
  out["framework"] = scenario.framework.name;
  out["network"] = kNetworkNames.name_of(scenario.network);
  out["fold"] = scenario.fold == Fold::kOn;
  out["seed"] = scenario.seed;
  if (scenario.variation.any()) {
    out["variation"] = variation_json(scenario.variation);
  }
  if (scenario.input) {
    out["input"] = input_json(*scenario.input);
  }
  return out;
}

}  // namespace trainyard
