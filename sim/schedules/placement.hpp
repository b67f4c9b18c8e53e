#pragma once
// Where model chunks stand. Chunks are numbered along the way of a micro-batch: 0 .. stages * chunks - 1. The two
// replicas of a bidirectional pipeline have the numbers 0 .. stages - 1 and stages .. 2 stages - 1.
#include <cstdint>

#include "sim/schedules/pipeline.hpp"

namespace trainyard {

// Whether a schedule that alternates forward and backward passes joins each two that follow one another. They must not
// depend on each other, so one more forward pass goes ahead. Source: Megatron-LM core/pipeline_parallel/schedules.py,
// get_pp_rank_microbatches, and combined_1f1b.py.
enum class Pairs { kApart, kJoined };

struct ScheduleShape {
  std::int32_t stages = 1;
  std::int32_t chunks = 1;  // model chunks per stage
  std::int32_t micro_batches = 1;
  Placement placement = Placement::kLooped;
  std::int32_t group = 0;  // micro-batches that visit a chunk in turn when interleaved; 0: as many as stages
  Pairs pairs = Pairs::kApart;
};

inline std::int32_t model_chunk_of(const ScheduleShape& shape, std::int32_t stage, std::int32_t chunk) {
  if (shape.placement == Placement::kLooped) {
    return chunk * shape.stages + stage;
  }
  return chunk == 0 ? stage : 2 * shape.stages - 1 - stage;
}

inline std::int32_t stage_of(const ScheduleShape& shape, std::int32_t model_chunk) {
  if (shape.placement == Placement::kLooped) {
    return model_chunk % shape.stages;
  }
  return model_chunk < shape.stages ? model_chunk : 2 * shape.stages - 1 - model_chunk;
}

inline std::int32_t chunk_of(const ScheduleShape& shape, std::int32_t model_chunk) {
  return model_chunk / shape.stages;
}

// Whether a tensor passes between the chunk before `model_chunk` and it: not where a model begins or ends.
inline bool has_boundary(const ScheduleShape& shape, std::int32_t model_chunk) {
  const bool next_replica = shape.placement == Placement::kBidirectional && model_chunk == shape.stages;
  return model_chunk > 0 && model_chunk < shape.stages * shape.chunks && !next_replica;
}

// Whether that tensor is a message: chunks that meet on one stage hand it over in memory.
inline bool crosses_stages(const ScheduleShape& shape, std::int32_t model_chunk) {
  return has_boundary(shape, model_chunk) && stage_of(shape, model_chunk - 1) != stage_of(shape, model_chunk);
}

// Whether forward passes cross a boundary from a stage to the next one (else to the one before).
inline bool leads_down(const ScheduleShape& shape, std::int32_t model_chunk) {
  return shape.placement == Placement::kLooped || model_chunk < shape.stages;
}

// Whether a micro-batch visits a chunk of its stages. In a bidirectional pipeline the first half of them goes down, the
// other half up.
inline bool visits(const ScheduleShape& shape, std::int32_t micro_batch, std::int32_t chunk) {
  return shape.placement != Placement::kBidirectional || (micro_batch < shape.micro_batches / 2) == (chunk == 0);
}

}  // namespace trainyard
