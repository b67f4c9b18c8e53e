#include <doctest/doctest.h>
#include <rapidcheck.h>

#include <algorithm>

#include "models/load_model.hpp"
#include "sim/layout/stages.hpp"

using namespace trainyard;

namespace test_stages {

TEST_CASE("layers that divide evenly are spread evenly, chunks round-robin over the stages") {
  // Megatron with 16 layers, pp 4, vpp 2: stage s holds layers [2 s, 2 s + 1] and [8 + 2 s, 8 + 2 s + 1].
  const std::vector<Stage> stages = assign_stages(16, {.pp = 4, .vpp = 2});
  REQUIRE(stages.size() == 4);
  for (std::int64_t s = 0; s < 4; ++s) {
    const Stage& stage = stages[static_cast<std::size_t>(s)];
    REQUIRE(stage.chunks.size() == 2);
    CHECK(stage.chunks[0].first_layer == 2 * s);
    CHECK(stage.chunks[1].first_layer == 8 + 2 * s);
    CHECK(stage.chunks[0].layers == 2);
    CHECK(stage.chunks[1].layers == 2);
    CHECK(stage.layers() == 4);
  }
}

TEST_CASE("what does not divide goes to the middle of the model") {
  // 10 layers on 4 stages: two each, and one more on the second and the third stage.
  const std::vector<Stage> stages = assign_stages(10, {.pp = 4});
  std::vector<std::int64_t> layers;
  for (const Stage& stage : stages) {
    layers.push_back(stage.layers());
  }
  CHECK(layers == std::vector<std::int64_t>{2, 3, 3, 2});
}

TEST_CASE("every layer is held once, chunks are contiguous and differ by at most one layer") {
  CHECK(rc::check([] {
    const auto pp = *rc::gen::inRange<std::int64_t>(1, 17);
    const auto vpp = *rc::gen::inRange<std::int64_t>(1, 5);
    const auto layers = *rc::gen::inRange<std::int64_t>(pp * vpp, pp * vpp + 200);
    const std::vector<Stage> stages = assign_stages(layers, {.pp = pp, .vpp = vpp});
    RC_ASSERT(stages.size() == static_cast<std::size_t>(pp));
    std::int64_t next_layer = 0;
    std::int64_t fewest = layers;
    std::int64_t most = 0;
    std::int64_t embeddings = 0;
    std::int64_t heads = 0;
    for (std::int64_t index = 0; index < pp * vpp; ++index) {
      const Stage& stage = stages[static_cast<std::size_t>(index % pp)];
      RC_ASSERT(stage.chunks.size() == static_cast<std::size_t>(vpp));
      const Chunk& chunk = stage.chunks[static_cast<std::size_t>(index / pp)];
      RC_ASSERT(chunk.first_layer == next_layer);
      RC_ASSERT((chunk.embedding == Holds::kYes) == (index == 0));
      RC_ASSERT((chunk.head == Holds::kYes) == (index == pp * vpp - 1));
      next_layer += chunk.layers;
      fewest = std::min(fewest, chunk.layers);
      most = std::max(most, chunk.layers);
      embeddings += chunk.embedding == Holds::kYes ? 1 : 0;
      heads += chunk.head == Holds::kYes ? 1 : 0;
    }
    RC_ASSERT(next_layer == layers);
    RC_ASSERT(most - fewest <= 1);
    RC_ASSERT(embeddings == 1);
    RC_ASSERT(heads == 1);
    // The chunk with the embedding never holds more than the others; the one with the head only when all the others do.
    RC_ASSERT(stages.front().chunks.front().layers == fewest);
    const bool all_others_hold_more = layers % (pp * vpp) == pp * vpp - 1 && pp * vpp > 1;
    RC_ASSERT(stages.back().chunks.back().layers == (all_others_hold_more ? most : fewest));
  }));
}

TEST_CASE("stages split by cost count the head's matrix as layers") {
  // A layer has 4 x 2048 x 2048 + 3 x 8192 x 2048 = 64 x 2^20 parameters, the head 131072 x 2048 = 256 x 2^20: four
  // layers' worth, 20 in all. On four stages every share is five: 5, 5, 5 and 1 + head. On eight it is two and a half,
  // and the module that reaches a share is its stage's last: 3, 2, 3, 2, 3, 2, 1 and the head alone.
  const Json document = Json::parse(R"({"name": "1B", "family": "llama", "layers": 16, "hidden": 2048,
      "heads": 32, "ffn": 8192, "vocab": 131072, "seq_len": 4096})");
  const ModelSpec model = read_model(JsonReader(document, "test"), "1B");
  const auto layers = [&](std::int64_t pp) {
    std::vector<std::int64_t> out;
    for (const Stage& stage : assign_stages_by_cost(model, pp)) {
      out.push_back(stage.layers());
    }
    return out;
  };
  CHECK(layers(4) == std::vector<std::int64_t>{5, 5, 5, 1});
  CHECK(layers(8) == std::vector<std::int64_t>{3, 2, 3, 2, 3, 2, 1, 0});
  const std::vector<Stage> stages = assign_stages_by_cost(model, 8);
  CHECK(stages.front().chunks.front().embedding == Holds::kYes);
  CHECK(stages.back().chunks.front().head == Holds::kYes);
  CHECK(stages[1].chunks.front().first_layer == 3);
}

namespace {

std::vector<std::int64_t> layers_of(const std::vector<Stage>& stages) {
  std::vector<std::int64_t> layers;
  for (const Stage& stage : stages) {
    for (const Chunk& chunk : stage.chunks) {
      layers.push_back(chunk.layers);
    }
  }
  return layers;
}

using Counts = std::vector<std::int64_t>;

}  // namespace

TEST_CASE("a V goes down the stages and up again, so the first stage holds both ends") {
  const std::vector<Stage> stages = assign_stages(16, {.pp = 4, .vpp = 2}, Placement::kV);
  for (std::int64_t s = 0; s < 4; ++s) {
    CHECK(stages[static_cast<std::size_t>(s)].chunks[0].first_layer == 2 * s);
    CHECK(stages[static_cast<std::size_t>(s)].chunks[1].first_layer == 2 * (7 - s));
  }
  CHECK(stages[0].chunks[0].embedding == Holds::kYes);
  CHECK(stages[0].chunks[1].head == Holds::kYes);
  CHECK(stages[3].chunks[1].head == Holds::kNo);
}

TEST_CASE("a bidirectional pipeline holds every layer twice, once in each direction") {
  const std::vector<Stage> stages = assign_stages(16, {.pp = 4, .vpp = 2}, Placement::kBidirectional);
  for (std::int64_t s = 0; s < 4; ++s) {
    CHECK(stages[static_cast<std::size_t>(s)].chunks[0].first_layer == 4 * s);
    CHECK(stages[static_cast<std::size_t>(s)].chunks[1].first_layer == 4 * (3 - s));
    CHECK(stages[static_cast<std::size_t>(s)].layers() == 8);
  }
  CHECK(stages[0].chunks[0].embedding == Holds::kYes);
  CHECK(stages[0].chunks[1].head == Holds::kYes);
  CHECK(stages[3].chunks[0].head == Holds::kYes);
  CHECK(stages[3].chunks[1].embedding == Holds::kYes);
}

TEST_CASE("layers counted out by the user stand where they were counted") {
  Parallelism layout{.pp = 3};
  layout.layers_per_stage = {0, 5, 3};
  CHECK(layers_of(assign_stages(8, layout)) == Counts{0, 5, 3});
  CHECK(assign_stages(8, layout)[2].chunks[0].first_layer == 5);
}

TEST_CASE("embedding and loss take the place of a layer or a stage of their own") {
  // Megatron with account_for_embedding_in_pipeline_split and account_for_loss_in_pipeline_split: 14 + 2 over 4.
  Parallelism layout{.pp = 4};
  layout.embedding = EndPlacement::kAsLayer;
  layout.loss = EndPlacement::kAsLayer;
  CHECK(layers_of(assign_stages(14, layout)) == Counts{3, 4, 4, 3});
  layout.embedding = EndPlacement::kStandalone;
  layout.loss = EndPlacement::kWithLayers;
  CHECK(layers_of(assign_stages(12, layout)) == Counts{0, 4, 4, 4});
  layout.loss = EndPlacement::kStandalone;
  const std::vector<Stage> stages = assign_stages(12, layout);
  CHECK(layers_of(stages) == Counts{0, 6, 6, 0});
  CHECK(stages[0].chunks[0].embedding == Holds::kYes);
  CHECK(stages[3].chunks[0].head == Holds::kYes);
}

}  // namespace test_stages
