#include "sim/scenario/device_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/scenario/place.hpp"

namespace trainyard {
namespace {

constexpr std::int64_t kNowhere = -1;

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool is_number = error == std::errc() && end == text.data() + text.size() && value >= 0;
  return is_number ? std::optional(value) : std::nullopt;
}

std::string layer_name(const ModelSpec& model, std::int64_t layer) {
  return model.network ? fmt::format("layer {} ({})", layer, model.network->units[static_cast<std::size_t>(layer)].name)
                       : fmt::format("layer {}", layer);
}

// The layers of a key: units of this name, or "3", or "0-11" with both ends.
std::vector<std::int64_t> layers_of_key(const std::string& key, const JsonReader& member, const ModelSpec& model) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; model.network && i < model.layers; ++i) {
    if (model.network->units[static_cast<std::size_t>(i)].name == key) {
      out.push_back(i);
    }
  }
  if (!out.empty()) {
    return out;
  }
  if (const std::size_t dot = key.rfind('.'); dot != std::string::npos) {  // "transformer.h.3", "model.layers.3"
    const auto layer = whole_number(std::string_view(key).substr(dot + 1));
    if (layer && *layer < model.layers) {
      return {*layer};
    }
  }
  const std::size_t dash = std::min(key.find('-'), key.size());
  const auto first = whole_number(std::string_view(key).substr(0, dash));
  const auto last = dash == key.size() ? first : whole_number(std::string_view(key).substr(dash + 1));
  if (!first || !last || *first > *last || *last >= model.layers) {
    member.fail(fmt::format("\"{}\" is no layer of the model", key),
                fmt::format("layers \"0\" to \"{}\", or from one to another as in \"0-{}\"{}", model.layers - 1,
                            model.layers - 1, model.network ? ", or names of units" : ", \"embedding\", \"head\""));
  }
  out.resize(static_cast<std::size_t>(*last - *first + 1));
  std::iota(out.begin(), out.end(), *first);
  return out;
}

// What stands before the first layer, and behind the last: as Hugging Face's models name it.
constexpr auto kFirstModules = std::to_array<std::string_view>(
    {"embedding", "wte", "wpe", "embed_tokens", "drop", "word_embeddings", "rotary_emb"});
constexpr auto kLastModules = std::to_array<std::string_view>({"head", "lm_head", "ln_f", "norm", "final_layernorm"});

template <std::size_t N>
bool is_among(const std::array<std::string_view, N>& modules, std::string_view key) {
  const std::size_t dot = key.rfind('.');
  const std::string_view last = dot == std::string_view::npos ? key : key.substr(dot + 1);
  return std::find(modules.begin(), modules.end(), last) != modules.end();
}

struct Devices {
  std::vector<std::int64_t> of_layer;  // kNowhere: not said
  std::optional<std::int64_t> embedding;
  std::optional<std::int64_t> head;
  std::string embedding_key;
  std::string head_key;
  std::int64_t count = 0;
};

// Layers stand on devices in their order, and the ends on the first and the last.
void check_places(const Devices& devices, const JsonReader& map, const ModelSpec& model) {
  std::int64_t before = 0;
  for (std::int64_t layer = 0; layer < model.layers; ++layer) {
    const std::int64_t device = devices.of_layer[static_cast<std::size_t>(layer)];
    if (device == kNowhere) {
      map.fail(fmt::format("{} stands on no device", layer_name(model, layer)), "every layer on one device");
    }
    if (device < before) {
      map.fail(fmt::format("{} stands on device {}, those before it on {}: devices follow the layers",
                           layer_name(model, layer), device, before),
               "devices 0, 1, ... in the order of the layers");
    }
    before = device;
  }
  if (devices.embedding.value_or(0) != 0) {
    map.at(devices.embedding_key).fail("the embedding stands before the first layer", "device 0");
  }
  if (devices.head.value_or(devices.count - 1) != devices.count - 1) {
    map.at(devices.head_key).fail("the head stands behind the last layer", fmt::format("device {}", devices.count - 1));
  }
}

// All modules of an end stand on one device.
void place_end(std::optional<std::int64_t>& end, std::int64_t device, const JsonReader& member) {
  if (end && *end != device) {
    member.fail("embeddings stand before the first layer, norm and head behind the last",
                fmt::format("device {}, as the others of this end", *end));
  }
  end = device;
}

std::vector<std::int64_t> read_names(const JsonReader& map, const ModelSpec& model) {
  Devices devices;
  devices.of_layer.assign(static_cast<std::size_t>(model.layers), kNowhere);
  for (const auto& [key, member] : map.members()) {
    const std::int64_t device = member.integer(0, kMostGpus - 1);
    devices.count = std::max(devices.count, device + 1);
    const bool is_first = !model.network && is_among(kFirstModules, key);
    if (is_first || (!model.network && is_among(kLastModules, key))) {
      place_end(is_first ? devices.embedding : devices.head, device, member);
      (is_first ? devices.embedding_key : devices.head_key) = key;
      continue;
    }
    for (const std::int64_t layer : layers_of_key(key, member, model)) {
      std::int64_t& place = devices.of_layer[static_cast<std::size_t>(layer)];
      if (place != kNowhere) {
        member.fail(fmt::format("{} stands on two devices, {} and {}", layer_name(model, layer), place, device),
                    "every layer on one device");
      }
      place = device;
    }
  }
  check_places(devices, map, model);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(devices.count), 0);
  for (const std::int64_t device : devices.of_layer) {
    ++counts[static_cast<std::size_t>(device)];
  }
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const bool has_end =
        devices.embedding == static_cast<std::int64_t>(i) || devices.head == static_cast<std::int64_t>(i);
    if (counts[i] == 0 && !has_end) {
      map.fail(fmt::format("device {} has no layers", i), "devices 0, 1, ... with a layer each");
    }
  }
  return counts;
}

std::vector<std::int64_t> read_counts(const JsonReader& map, const ModelSpec& model) {
  const std::vector<JsonReader> elements = map.elements();
  std::vector<std::int64_t> counts;
  for (const JsonReader& one : elements) {
    // The first and the last device of a transformer have embedding and head at least.
    const bool has_end =
        !model.network && elements.size() > 1 && (counts.empty() || counts.size() + 1 == elements.size());
    counts.push_back(one.integer(0, model.layers));
    if (counts.back() == 0 && !has_end) {
      one.fail(fmt::format("device {} has no layers", counts.size() - 1), "1 and more");
    }
  }
  const std::int64_t sum = std::accumulate(counts.begin(), counts.end(), std::int64_t{0});
  if (sum != model.layers) {
    map.fail(sum < model.layers ? fmt::format("{} stands on no device", layer_name(model, sum))
                                : fmt::format("there is no layer {}", model.layers),
             fmt::format("{} layers in all", model.layers));
  }
  return counts;
}

}  // namespace

void read_device_map(const JsonReader& layout_json, const ModelSpec& model, std::int64_t gpus, Parallelism& layout) {
  const auto map = layout_json.find("device_map");
  if (!map) {
    return;
  }
  if (!map->value().is_object() && !map->value().is_array()) {
    map->fail("expected layers of each device, or devices by layer", "[...], {...}");
  }
  const std::vector<std::int64_t> counts =
      map->value().is_object() ? read_names(*map, model) : read_counts(*map, model);
  const auto devices = static_cast<std::int64_t>(counts.size());
  if (devices > gpus) {
    map->fail(fmt::format("there are {} devices and {} GPUs", devices, gpus), fmt::format("at most {} devices", gpus));
  }
  if (const auto pp = layout_json.find("pp"); pp && layout.pp != devices) {
    pp->fail("the device map has another number of devices", fmt::format("{}, or leave pp out", devices));
  }
  if (const auto vpp = layout_json.find("vpp"); vpp && layout.vpp != 1) {
    vpp->fail("a device of a device map has one run of layers", "1");
  }
  if (const auto counted = layout_json.find("layers_per_stage")) {
    counted->fail("the device map counts layers out already", "either of them");
  }
  layout.pp = devices;
  layout.layers_per_stage = counts;
  layout.device_map = Presence::kPresent;
  if (!layout_json.has("order")) {
    layout.order = "tp-cp-ep-pp-dp";  // the devices of one process are neighbours
  }
}

void settle_copies(const JsonReader& training_json, Scenario& scenario) {
  if (scenario.layout.device_map == Presence::kAbsent || scenario.layout.pp == 1) {
    return;
  }
  const auto stated = training_json.find("p2p");
  if (stated && scenario.framework.exchange != PipelineExchange::kBatchedSync) {
    stated->fail("one host issues the work of all devices in order", "batched-sync, or leave p2p out");
  }
  scenario.framework.exchange = PipelineExchange::kBatchedSync;
}

void check_device_map(const Scenario& scenario, const std::string& file) {
  const Parallelism& layout = scenario.layout;
  if (layout.device_map == Presence::kAbsent) {
    return;
  }
  const Place place{file};
  for (const auto& [pointer, ranks] : {std::pair<std::string_view, std::int64_t>{"/layout/tp", layout.tp},
                                       {"/layout/cp", layout.cp},
                                       {"/layout/ep", layout.ep}}) {
    if (ranks > 1) {
      place.fail(pointer, "one process runs all layers of a device map whole", fmt::format("{}", ranks), "1",
                 "leave it out, or use pp with layers_per_stage in place of device_map");
    }
  }
  if (scenario.training.schedule != ScheduleName::kLayerSplit) {
    place.fail("/training/schedule", "a device map has one micro-batch under way",
               std::string(scenario.training.schedule_table ? std::string_view("a table")
                                                            : kScheduleNames.name_of(scenario.training.schedule)),
               "layer-split", "leave schedule out, or use pp with layers_per_stage in place of device_map");
  }
  // Replicas are runs of neighbours, or every dp-th rank where the stated order has it so.
  const std::int64_t of_node = std::max<std::int64_t>(1, scenario.cluster.gpus_per_node);
  const bool are_neighbours = layout.order.find("pp") < layout.order.find("dp");
  const bool in_node = layout.pp == 1 || scenario.gpus <= of_node || (are_neighbours && of_node % layout.pp == 0);
  if (!in_node) {
    place.fail("/layout/device_map", "the devices of one process lie in one node",
               fmt::format("{} devices, {} GPUs a node, order {}", layout.pp, of_node, layout.order),
               fmt::format("a number of devices that divides {}, neighbours in the order", of_node),
               "use fewer devices and leave order out, or pp with layers_per_stage in place of device_map");
  }
  const DataParallelName strategy = scenario.training.data_parallel.strategy;
  if (layout.dp > 1 && layout.pp > 1 && strategy != DataParallelName::kDdp) {
    place.fail("/training/data_parallel", "replicas over several devices each are DistributedDataParallel's alone",
               std::string(kDataParallelNames.name_of(strategy)), "ddp", "set training.data_parallel to ddp");
  }
}

}  // namespace trainyard
