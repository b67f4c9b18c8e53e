#pragma once
// Which layers each pipeline stage holds.
#include <cstdint>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace trainyard {

enum class Holds { kNo, kYes };

// A contiguous run of layers on one stage; with interleaving a stage holds several.
struct Chunk {
  std::int64_t first_layer = 0;
  std::int64_t layers = 0;
  Holds embedding = Holds::kNo;  // the input embedding, before the first layer
  Holds head = Holds::kNo;       // final norm, logits and loss, after the last layer
};

struct Stage {
  std::vector<Chunk> chunks;  // in chunk order; which part of the model each is follows from the placement
  std::int64_t layers() const;
};

// Layers are spread evenly over the virtual stages unless the layout counts them out; when they do not divide, the
// remainder goes one each to the virtual stages from the second on (the first and last also hold embedding and head).
// Embedding and head count as a layer, or stand alone, where the layout says so. A bidirectional pipeline holds the
// model twice, so a stage holds virtual stage s and virtual stage pp - 1 - s.
std::vector<Stage> assign_stages(std::int64_t layers, const Parallelism& layout,
                                 Placement placement = Placement::kLooped);

// Stages split where the running sum of the modules' costs crosses equal shares of the whole: a layer costs its
// matrices' parameters (as if queries were not grouped), the head vocabulary x hidden, everything else nothing. A
// module that crosses a share opens the next stage; stages at either end may hold no layer. Source: nanotron,
// models/base.py (build_model) and models/llama.py (get_block_compute_costs). There the module that crosses still
// belongs to the stage before; the step times of runs_nanotron, where the head never shares a stage with more layers
// than this rule gives it, show that the benchmarked version was the other way round.
std::vector<Stage> assign_stages_by_cost(const ModelSpec& model, std::int64_t pp);

}  // namespace trainyard
