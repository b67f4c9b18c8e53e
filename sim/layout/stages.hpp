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

  bool reads_samples() const { return embedding == Holds::kYes || head == Holds::kYes; }
};

struct Stage {
  std::vector<Chunk> chunks;  // in chunk order; which part of the model each is follows from the placement
  std::int64_t layers() const;
  // Whether its ranks need samples: the first stage takes them, the last one the labels.
  bool reads_samples() const;
};

// Layers are spread evenly over the virtual stages unless the layout counts them out; when they do not divide, the
// remainder goes one each to the virtual stages from the second on (the first and last also hold embedding and head).
// Embedding and head count as a layer, or stand alone, where the layout says so. A bidirectional pipeline holds the
// model twice, so a stage holds virtual stage s and virtual stage pp - 1 - s.
std::vector<Stage> assign_stages(std::int64_t layers, const Parallelism& layout,
                                 Placement placement = Placement::kLooped);

// Stages split where the running sum of the modules' costs reaches equal shares of the whole: a layer costs its
// matrices' parameters (as if queries were not grouped), a unit of a network its parameters, the head vocabulary x
// hidden, everything else nothing. The
// module that reaches a share is the last of its stage; the head is the last stage's, which may hold no layer. Source:
// nanotron, models/base.py (build_model) and models/llama.py (get_block_compute_costs). There a share has to be
// exceeded, and the head goes where its cost falls: where these differ (a head of exactly four layers, pp 2; a last
// stage with the loss alone) the published memory and step times are of this rule.
std::vector<Stage> assign_stages_by_cost(const ModelSpec& model, std::int64_t pp);

}  // namespace trainyard
