#include "sim/scenario/pipeline_keys.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "sim/base/files.hpp"
#include "sim/scenario/device_map.hpp"
#include "sim/scenario/place.hpp"
#include "sim/schedules/schedule_table.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kMostLayers = 1'000'000;

void check_chunks(const Place& place, const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  const std::string name = schedule_text(scenario.training);
  if (scenario.framework.stage_split == StageSplit::kByCost && layout.vpp != 1) {
    place.fail("/layout/vpp", fmt::format("{} gives every stage one chunk", scenario.framework.name),
               fmt::format("{}", layout.vpp), "1", "choose a schedule with one chunk per stage, or another framework");
  }
  if (scenario.training.schedule_table) {
    const ScheduleTable& table = *scenario.training.schedule_table;
    const std::int64_t chunks = table.placement == Placement::kLooped ? table.chunks : 2;
    if (layout.vpp != chunks) {
      place.fail("/layout/vpp", "the schedule table has another number of chunks per stage",
                 fmt::format("vpp {} with {}", layout.vpp, name), fmt::format("{}", chunks), "leave vpp out");
    }
    return;
  }
  const ScheduleTraits& traits = schedule_traits(scenario.training.schedule);
  if (traits.most_chunks == 1 && layout.vpp != 1) {
    place.fail("/layout/vpp", "several chunks per stage need the interleaved schedule",
               fmt::format("vpp {} with {}", layout.vpp, name), "1", "use schedule interleaved");
  }
  if (traits.most_chunks == 2 && layout.vpp != 2) {
    place.fail("/layout/vpp", fmt::format("the {} schedule has two chunks per stage", name),
               fmt::format("{}", layout.vpp), "2", "leave vpp out");
  }
  if (traits.most_chunks > 2 && (layout.vpp < 2 || layout.pp < 2)) {
    place.fail("/training/schedule", fmt::format("the {} schedule needs at least two stages and two chunks", name),
               fmt::format("pp {}, vpp {}", layout.pp, layout.vpp), "pp >= 2 and vpp >= 2", "use 1f1b");
  }
}

// What the schedule's row demands of the numbers of stages and micro-batches.
void check_demands(const Place& place, const ScheduleTraits& traits, std::int64_t pp, std::int64_t count) {
  const std::string_view name = kScheduleNames.name_of(traits.name);
  if (traits.needs_even() && (pp % 2 != 0 || count % 2 != 0)) {
    place.fail("/training/schedule", fmt::format("{} needs an even number of stages and of micro-batches", name),
               fmt::format("pp {}, {} micro-batches", pp, count), "even numbers", "use dualpipe-v or zb-v");
  }
  if (count < traits.fewest_per_stage * pp) {
    place.fail("/training/global_batch",
               fmt::format("{} needs at least {} pp micro-batches", name, traits.fewest_per_stage),
               fmt::format("{} micro-batches", count), fmt::format("at least {}", traits.fewest_per_stage * pp),
               "raise global_batch, or lower micro_batch, dp or pp");
  }
}

void check_micro_batches(const Place& place, const Scenario& scenario) {
  const std::int64_t pp = scenario.layout.pp;
  const std::int64_t count = scenario.micro_batches();
  const ScheduleName schedule = scenario.training.schedule;
  const bool groups = !scenario.training.schedule_table && schedule_traits(schedule).grouping == Grouping::kGroups;
  if (!groups && scenario.training.micro_batch_group != 0) {
    place.fail("/training/micro_batch_group", "only the interleaved schedule groups micro-batches",
               schedule_text(scenario.training), "interleaved", "leave micro_batch_group out");
  }
  if (groups && scenario.framework.exchange == PipelineExchange::kAnnounced) {
    // Both hosts wait for an announcement, and in this order each waits for the other's.
    place.fail("/training/p2p", "announced messages deadlock where stages interleave chunks", "announced",
               "batched, batched-sync, overlapped or overlapped-warmup-flush with schedule interleaved",
               "choose another exchange, or schedule 1f1b");
  }
  if (const auto& table = scenario.training.schedule_table) {
    if (static_cast<std::int64_t>(table->rows.size()) != pp) {
      place.fail("/layout/pp", "the schedule table has one row per stage", fmt::format("pp {}", pp),
                 fmt::format("{} rows in {}", table->rows.size(), table->file), "change pp or the table");
    }
    if (table->micro_batches != count) {
      place.fail("/training/global_batch", "the schedule table has another number of micro-batches",
                 fmt::format("{} micro-batches", count), fmt::format("{} in {}", table->micro_batches, table->file),
                 "change global_batch, micro_batch or the table");
    }
  } else {
    check_demands(place, schedule_traits(schedule), pp, count);
  }
}

// Where stages are cut by cost nothing else places what they hold.
void check_cut_by_cost(const Place& place, const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  const bool counted_out = !layout.layers_per_stage.empty();
  if (counted_out || layout.embedding != EndPlacement::kWithLayers || layout.loss != EndPlacement::kWithLayers) {
    place.fail(layout.device_map == Presence::kPresent         ? "/layout/device_map"
               : counted_out                                   ? "/layout/layers_per_stage"
               : layout.embedding != EndPlacement::kWithLayers ? "/layout/embedding"
                                                               : "/layout/loss",
               fmt::format("{} cuts its stages by what the layers cost", scenario.framework.name),
               "layers placed otherwise", "none", "leave it out, or choose another framework");
  }
}

// Layers, and ends that count as one, for every virtual stage that is to hold some.
void check_enough_layers(const Place& place, const Parallelism& layout, std::int64_t layers, std::int64_t holders) {
  if (holders < 1) {
    const bool is_embedding = layout.embedding == EndPlacement::kStandalone;
    place.fail(is_embedding ? "/layout/embedding" : "/layout/loss", "an end that stands alone has a stage of its own",
               fmt::format("pp {} * vpp {}", layout.pp, layout.vpp), "a stage more than stand alone",
               "raise pp or vpp, or leave the end with the layers");
  }
  if (layers < holders) {
    place.fail("/layout/pp", "there are fewer layers than pipeline stages times chunks",
               fmt::format("pp {} * vpp {}", layout.pp, layout.vpp),
               fmt::format("pp * vpp of at most {} layers", layers),
               "lower pp or vpp, or let the ends count as layers (layout.embedding and layout.loss as-layer)");
  }
}

void check_layers(const Place& place, const Scenario& scenario) {
  const Parallelism& layout = scenario.layout;
  const std::int64_t layers = scenario.model.layers;
  const std::int64_t virtual_stages =
      scenario.placement() == Placement::kBidirectional ? layout.pp : layout.pp * layout.vpp;
  if (scenario.framework.stage_split == StageSplit::kByCost) {
    check_cut_by_cost(place, scenario);  // nanotron has run with more stages than layers
    return;
  }
  if (!layout.layers_per_stage.empty()) {
    const std::int64_t sum =
        std::accumulate(layout.layers_per_stage.begin(), layout.layers_per_stage.end(), std::int64_t{0});
    if (static_cast<std::int64_t>(layout.layers_per_stage.size()) != virtual_stages || sum != layers) {
      place.fail("/layout/layers_per_stage", "every layer stands on one virtual stage",
                 fmt::format("{} layers on {} virtual stages", sum, layout.layers_per_stage.size()),
                 fmt::format("{} layers on {}", layers, virtual_stages), "leave it out to spread them evenly");
    }
    if (layout.embedding != EndPlacement::kWithLayers || layout.loss != EndPlacement::kWithLayers) {
      const std::string_view key = layout.device_map == Presence::kPresent ? "device_map" : "layers_per_stage";
      place.fail(fmt::format("/layout/{}", key), "layers are counted out already",
                 fmt::format("{} with embedding or loss", key), "either of them",
                 "write 0 where the embedding or the loss stands alone");
    }
    return;
  }
  const auto alone = [](EndPlacement end) { return end == EndPlacement::kStandalone ? 1 : 0; };
  const auto as_layer = [](EndPlacement end) { return end == EndPlacement::kAsLayer ? 1 : 0; };
  // An end that counts as a layer may be all that its virtual stage holds.
  check_enough_layers(place, layout, layers + as_layer(layout.embedding) + as_layer(layout.loss),
                      virtual_stages - alone(layout.embedding) - alone(layout.loss));
}

}  // namespace

void read_stage_contents(const JsonReader& layout_json, Parallelism& layout) {
  if (const auto found = layout_json.find("layers_per_stage")) {
    for (const JsonReader& one : found->elements()) {
      layout.layers_per_stage.push_back(one.integer(0, kMostLayers));
    }
  }
  if (const auto found = layout_json.find("embedding")) {
    layout.embedding = found->choice(kEndPlacementNames);
  }
  if (const auto found = layout_json.find("loss")) {
    layout.loss = found->choice(kEndPlacementNames);
  }
}

std::optional<Fault> refused_batch(const BatchSplit& split) {
  const std::int64_t per_round = split.micro_batch * split.dp;
  if (split.global_batch % per_round != 0) {
    return Fault{.pointer = "/training/global_batch",
                 .found = fmt::format("{}", split.global_batch),
                 .allowed = fmt::format("a multiple of {} * {} = {}", split.micro_batch, split.dp, per_round),
                 .problem = "the global batch must be divisible by micro_batch * dp",
                 .remedy = fmt::format("use {}", std::max(per_round, split.global_batch / per_round * per_round))};
  }
  if (split.schedule == ScheduleName::kTable || schedule_traits(split.schedule).grouping != Grouping::kGroups) {
    return std::nullopt;
  }
  const std::int64_t count = split.global_batch / per_round;
  const std::int64_t group = split.micro_batch_group;
  if (group == 0 && count % split.pp != 0) {
    return Fault{.pointer = "/training/global_batch",
                 .found = fmt::format("{} micro-batches", count),
                 .allowed = fmt::format("a multiple of {}", split.pp),
                 .problem = "the interleaved schedule needs a multiple of pp micro-batches",
                 .remedy = "change global_batch, micro_batch or micro_batch_group, or use 1f1b"};
  }
  // Source: megatron/core/pipeline_parallel/schedules.py, forward_backward_pipelining_with_interleaving.
  if (group != 0 && (group < split.pp || group > count)) {
    return Fault{.pointer = "/training/micro_batch_group",
                 .found = fmt::format("{}", group),
                 .allowed = fmt::format("{} to {}", split.pp, count),
                 .problem = "a group needs at least pp micro-batches and at most all",
                 .remedy = "use pp, or leave it out"};
  }
  if (group != 0 && count % group != 0 && count % group < split.pp) {
    return Fault{.pointer = "/training/micro_batch_group",
                 .found = fmt::format("{} micro-batches in groups of {}", count, group),
                 .allowed = fmt::format("a remainder of 0 or at least {}", split.pp),
                 .problem = "the last group has fewer than pp micro-batches",
                 .remedy = "change micro_batch_group or global_batch"};
  }
  return std::nullopt;
}

BatchSplit batch_split(const Scenario& scenario) {
  return {.global_batch = scenario.training.global_batch,
          .micro_batch = scenario.training.micro_batch,
          .dp = scenario.layout.dp,
          .pp = scenario.layout.pp,
          .schedule = scenario.training.schedule,
          .micro_batch_group = scenario.training.micro_batch_group};
}

ScheduleName default_schedule(std::int64_t chunks) {
  return chunks > 1 ? ScheduleName::kInterleaved : ScheduleName::kOneFOneB;
}

void read_schedule(const JsonReader& training_json, const Parallelism& layout, Training& training) {
  if (const auto found = training_json.find("micro_batch_group")) {
    training.micro_batch_group = found->integer(1, kMostLayers);
  }
  const auto found = training_json.find("schedule");
  if (!found) {
    training.schedule =
        layout.device_map == Presence::kPresent ? ScheduleName::kLayerSplit : default_schedule(layout.vpp);
  } else if (const std::string text = found->text(); text.find_first_of("./") != std::string::npos) {
    training.schedule = ScheduleName::kTable;
    training.schedule_table = parse_schedule_table(read_file(text), text);
  } else {
    training.schedule = found->choice(kScheduleNames);
  }
}

std::int64_t default_chunks(const Training& training) {
  if (training.schedule_table) {
    return training.schedule_table->placement == Placement::kLooped ? training.schedule_table->chunks : 2;
  }
  return schedule_traits(training.schedule).most_chunks == 2 ? 2 : 1;
}

std::string schedule_text(const Training& training) {
  return training.schedule_table ? training.schedule_table->file
                                 : std::string(kScheduleNames.name_of(training.schedule));
}

void check_pipeline(const Scenario& scenario, const std::string& file) {
  const Place place{file};
  check_device_map(scenario, file);
  check_chunks(place, scenario);
  check_micro_batches(place, scenario);
  check_layers(place, scenario);
}

void echo_pipeline(const Scenario& scenario, Json& document) {
  const Parallelism& layout = scenario.layout;
  if (!layout.layers_per_stage.empty()) {
    const char* const key = layout.device_map == Presence::kPresent ? "device_map" : "layers_per_stage";
    document["layout"][key] = layout.layers_per_stage;
  }
  document["layout"]["embedding"] = kEndPlacementNames.name_of(layout.embedding);
  document["layout"]["loss"] = kEndPlacementNames.name_of(layout.loss);
  if (scenario.training.micro_batch_group != 0) {
    document["training"]["micro_batch_group"] = scenario.training.micro_batch_group;
  }
  if (layout.pp > 1) {
    document["training"]["p2p"] = kExchangeNames.name_of(scenario.framework.exchange);
  }
}

}  // namespace trainyard
