#pragma once
// The process groups of a training job: which ranks communicate with each other, for layers, data-parallel strategies
// and pipelines alike.
#include "sim/base/name_table.hpp"

namespace trainyard {

enum class ParallelGroup {
  kTensor,
  kContext,
  kContextInner,  // neighbours within a context group: those that exchange heads (ContextParallel::kHierarchical)
  kContextOuter,  // one of each such neighbourhood, which form a ring
  kExpert,
  kExpertTensor,
  kData,           // ranks that hold the same parameters outside of experts: data and context parallel ones
  kShard,          // of those, the ones that share out one copy
  kReplica,        // and the ones that hold the same shard
  kExpertData,     // ranks that hold the same experts
  kExpertShard,    // of those, the ones that share out one copy
  kExpertReplica,  // and the ones that hold the same shard
  kModel,          // ranks that hold one copy of the model together
  kEmbedding,      // first and last stage of a pipeline
  kMirror          // stages s and pp - 1 - s, which hold the same layers of a bidirectional pipeline
};
inline constexpr NameTable<ParallelGroup, 15> kParallelGroupNames{{{{"tensor", ParallelGroup::kTensor},
                                                                    {"context", ParallelGroup::kContext},
                                                                    {"inner context", ParallelGroup::kContextInner},
                                                                    {"outer context", ParallelGroup::kContextOuter},
                                                                    {"data", ParallelGroup::kData},
                                                                    {"shard", ParallelGroup::kShard},
                                                                    {"replica", ParallelGroup::kReplica},
                                                                    {"expert", ParallelGroup::kExpert},
                                                                    {"expert tensor", ParallelGroup::kExpertTensor},
                                                                    {"expert data", ParallelGroup::kExpertData},
                                                                    {"expert shard", ParallelGroup::kExpertShard},
                                                                    {"expert replica", ParallelGroup::kExpertReplica},
                                                                    {"model", ParallelGroup::kModel},
                                                                    {"embedding", ParallelGroup::kEmbedding},
                                                                    {"mirror", ParallelGroup::kMirror}}}};

// The group that does for experts what `group`, one of kData, kShard and kReplica, does for all other parameters.
constexpr ParallelGroup of_experts(ParallelGroup group) {
  return group == ParallelGroup::kData    ? ParallelGroup::kExpertData
         : group == ParallelGroup::kShard ? ParallelGroup::kExpertShard
                                          : ParallelGroup::kExpertReplica;
}

}  // namespace trainyard
