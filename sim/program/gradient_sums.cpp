#include "sim/program/gradient_sums.hpp"

#include <algorithm>

namespace trainyard {
namespace {

Bytes gradients(const GradientSite& site, std::int64_t count) {
  return bytes_per_element(site.scenario.training.grad_dtype) * static_cast<double>(count);
}

void all_reduce(const GradientSite& site, Category category, StreamName stream, const char* name, CommunicationId id) {
  site.builder.communicate(category, stream, name, site.communicators.issue_time(id), {&id, 1});
}

// Stages s and pp - 1 - s of a bidirectional pipeline hold the same two chunks.
void sum_over_replicas(const GradientSite& site) {
  if (site.scenario.placement() != Placement::kBidirectional) {
    return;
  }
  const auto mirror = static_cast<std::int32_t>(site.scenario.layout.pp) - 1 - site.stage;
  const CommunicationId id = site.communicators.stage_collective(
      ParallelGroup::kMirror, std::min(site.stage, mirror), CollectiveOp::kAllReduce,
      gradients(site, site.layout.stage_parameters[static_cast<std::size_t>(site.stage)]));
  all_reduce(site, Category::kPipeline, StreamName::kPipeline, "reduce gradients of both replicas", id);
}

KernelRun copies(const GradientSite& site, std::int64_t kernels, Bytes traffic) {
  KernelRun run;
  const double rate = site.scenario.framework.kernel_rate;
  const Seconds each = site.costs.memory_bound({.traffic = traffic / static_cast<double>(kernels)}) / rate;
  for (std::int64_t i = 0; i < kernels; ++i) {
    run.append(site.scenario.framework.host.forward_operator, each);
  }
  return run;
}

// The gradients are copied into one tensor, summed, and copied back one by one.
void sum_over_tensor_ranks(const GradientSite& site) {
  const ParameterShare& share = site.layout.stage_shares[static_cast<std::size_t>(site.stage)];
  if (share.alike == 0) {
    return;
  }
  const Bytes size = gradients(site, share.alike);
  site.builder.kernels(Category::kTensor, "join gradients held alike", copies(site, 1, size * 2.0));
  all_reduce(site, Category::kTensor, StreamName::kTensor, "reduce gradients held alike",
             site.communicators.stage_collective(ParallelGroup::kTensor, site.stage, CollectiveOp::kAllReduce, size));
  site.builder.kernels(Category::kTensor, "copy gradients held alike", copies(site, share.alike_tensors, size * 2.0));
}

void sum_over_tied_stages(const GradientSite& site) {
  const Scenario& scenario = site.scenario;
  // A V ends on the stage where it begins, and the two ends of a bidirectional pipeline are mirrors.
  const bool is_end =
      (site.stage == 0 || site.stage == scenario.layout.pp - 1) && scenario.placement() == Placement::kLooped;
  if (scenario.layout.pp > 1 && is_end && scenario.model.tied_embeddings == Presence::kPresent) {
    all_reduce(site, Category::kPipeline, StreamName::kPipeline, "reduce embedding gradients",
               site.communicators.collective(ParallelGroup::kEmbedding, CollectiveOp::kAllReduce,
                                             gradients(site, tied_embedding_parameters(scenario))));
  }
}

}  // namespace

void sum_gradients(const GradientSite& site) {
  sum_over_replicas(site);
  sum_over_tensor_ranks(site);
  sum_over_tied_stages(site);
}

}  // namespace trainyard
