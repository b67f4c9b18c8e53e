// A network's layers from JSON: one row for each type, with its keys and the extent that it writes.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "models/model_reading.hpp"
#include "models/network.hpp"
#include "models/network_windows.hpp"

namespace trainyard {
namespace {

std::string text_of(const Extent& extent) {
  return fmt::format("{} x {} x {}", extent.channels, extent.height, extent.width);
}

// Where a layer stands: what came before it, and whether anything of that trains.
struct Cursor {
  Extent extent;
  bool is_first = true;
};

std::vector<NetworkLayer> read_layers(const JsonReader& json, Cursor& cursor);

constexpr std::int64_t kMostRows = std::int64_t{1} << 40;

void read_linear(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "outputs", "bias"});
  layer.bias = read_bias(json, true);
  layer.out = {.channels = json.at("outputs").integer(1, ModelLimits::kVocab),
               .height = layer.in.height,
               .width = layer.in.width};
}

void read_same(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type"});
  layer.out = layer.in;
}

void read_activation(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "function"});
  layer.nonlinearity = json.at("function").choice(kNonlinearityNames);
  layer.out = layer.in;
}

void read_global_pool(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type"});
  layer.out = {.channels = layer.in.channels};
}

void read_flatten(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type"});
  layer.out = {.channels = layer.in.elements()};
}

// The branches of a layer, each of which reads what the layer reads.
void read_branches(const JsonReader& json, NetworkLayer& layer) {
  for (const JsonReader& branch : json.elements()) {
    Cursor cursor{.extent = layer.in, .is_first = layer.is_first};
    layer.branches.push_back(read_layers(branch, cursor));
    for (const NetworkLayer& one : layer.branches.back()) {
      if (one.type == NetworkLayerType::kTables) {
        branch.fail("tables that ranks share out stand in no branch", "tables among the layers of a unit");
      }
    }
  }
  if (layer.branches.empty()) {
    json.fail("there is nothing to join", "one list of layers and more");
  }
}

Extent end_of(const NetworkLayer& layer, const std::vector<NetworkLayer>& branch) {
  return branch.empty() ? layer.in : branch.back().out;
}

void read_residual(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "branches"});
  const JsonReader branches = json.at("branches");
  read_branches(branches, layer);
  layer.out = end_of(layer, layer.branches.front());
  for (std::size_t i = 1; i < layer.branches.size(); ++i) {
    if (const Extent end = end_of(layer, layer.branches[i]); end != layer.out) {
      branches.elements()[i].fail(fmt::format("what is added has one extent; this branch writes {}", text_of(end)),
                                  fmt::format("{}, as the first branch writes", text_of(layer.out)));
    }
  }
}

void read_concat(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "branches"});
  const JsonReader branches = json.at("branches");
  read_branches(branches, layer);
  layer.out = end_of(layer, layer.branches.front());
  for (std::size_t i = 1; i < layer.branches.size(); ++i) {
    const Extent end = end_of(layer, layer.branches[i]);
    if (end.height != layer.out.height || end.width != layer.out.width) {
      branches.elements()[i].fail(
          fmt::format("channels side by side have one height and width; this branch writes {}", text_of(end)),
          fmt::format("{} x {}, as the first branch writes", layer.out.height, layer.out.width));
    }
    layer.out.channels += end.channels;
  }
}

void read_scale(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "gate"});
  Cursor cursor{.extent = layer.in, .is_first = layer.is_first};
  layer.branches.push_back(read_layers(json.at("gate"), cursor));
  if (cursor.extent != Extent{.channels = layer.in.channels}) {
    json.at("gate").fail(
        fmt::format("a gate has a number for each channel; this one writes {}", text_of(cursor.extent)),
        fmt::format("{} x 1 x 1", layer.in.channels));
  }
  layer.out = layer.in;
}

// Of each position `lookups` rows of a table, summed.
void read_embedding(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "rows", "outputs", "lookups"});
  layer.rows = json.at("rows").integer(1, ModelLimits::kVocab);
  const auto lookups = json.find("lookups");
  layer.lookups = lookups ? lookups->integer(1, ModelLimits::kHidden) : 1;
  layer.out = {.channels = json.at("outputs").integer(1, ModelLimits::kHidden),
               .height = layer.in.height,
               .width = layer.in.width};
}

void read_attention(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "heads"});
  layer.heads = json.at("heads").integer(1, ModelLimits::kHeads);
  if (layer.in.channels % layer.heads != 0) {
    json.at("heads").fail("heads share out the channels", fmt::format("a divisor of {}", layer.in.channels));
  }
  layer.bias = true;
  layer.out = layer.in;
}

void read_lstm(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "outputs"});
  if (layer.in.height != 1) {
    json.fail(fmt::format("a recurrent layer reads a sequence, not {}", text_of(layer.in)), "an extent of height 1");
  }
  layer.bias = true;
  layer.out = {.channels = json.at("outputs").integer(1, ModelLimits::kHidden), .height = 1, .width = layer.in.width};
}

// A table for each number of rows; what it reads is one vector as wide as theirs.
void read_tables(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "rows", "outputs", "lookups"});
  for (const JsonReader& rows : json.at("rows").elements()) {
    layer.rows += rows.integer(1, kMostRows);
    ++layer.tables;
  }
  if (layer.tables == 0) {
    json.at("rows").fail("there is nothing to look up", "the rows of one table and more");
  }
  const std::int64_t outputs = json.at("outputs").integer(1, ModelLimits::kHidden);
  if (layer.in != Extent{.channels = outputs}) {
    json.at("outputs").fail(fmt::format("vectors stand beside what is read, {}", text_of(layer.in)),
                            "as many outputs as features are read");
  }
  const auto lookups = json.find("lookups");
  layer.lookups = lookups ? lookups->integer(1, ModelLimits::kHidden) : 1;
  layer.out = {.channels = outputs, .height = 1, .width = layer.tables + 1};
}

void read_interaction(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type"});
  const std::int64_t vectors = layer.in.positions();
  if (vectors < 2) {
    json.fail(fmt::format("there are no pairs in {}", text_of(layer.in)), "two positions and more");
  }
  layer.out = {.channels = layer.in.channels + vectors * (vectors - 1) / 2};
}

// What a type reads of its object, `in` being settled; it settles `out`.
struct Type {
  NetworkLayerType type;
  void (*read)(const JsonReader& json, NetworkLayer& layer);
};
constexpr NameTable<Type, 20> kTypes{{{{"conv", {NetworkLayerType::kConvolution, read_convolution}},
                                       {"depthwise", {NetworkLayerType::kConvolution, read_depthwise}},
                                       {"transposed", {NetworkLayerType::kTransposedConvolution, read_transposed}},
                                       {"linear", {NetworkLayerType::kLinear, read_linear}},
                                       {"batch_norm", {NetworkLayerType::kBatchNorm, read_same}},
                                       {"layer_norm", {NetworkLayerType::kLayerNorm, read_same}},
                                       {"activation", {NetworkLayerType::kActivation, read_activation}},
                                       {"max_pool", {NetworkLayerType::kMaxPool, read_pool}},
                                       {"average_pool", {NetworkLayerType::kAveragePool, read_pool}},
                                       {"global_pool", {NetworkLayerType::kGlobalPool, read_global_pool}},
                                       {"dropout", {NetworkLayerType::kDropout, read_same}},
                                       {"flatten", {NetworkLayerType::kFlatten, read_flatten}},
                                       {"residual", {NetworkLayerType::kResidual, read_residual}},
                                       {"concat", {NetworkLayerType::kConcat, read_concat}},
                                       {"scale", {NetworkLayerType::kScale, read_scale}},
                                       {"embedding", {NetworkLayerType::kEmbedding, read_embedding}},
                                       {"attention", {NetworkLayerType::kAttention, read_attention}},
                                       {"lstm", {NetworkLayerType::kLstm, read_lstm}},
                                       {"tables", {NetworkLayerType::kTables, read_tables}},
                                       {"interaction", {NetworkLayerType::kInteraction, read_interaction}}}}};

bool trains(const NetworkLayer& layer) {
  switch (layer.type) {
    case NetworkLayerType::kConvolution:
    case NetworkLayerType::kTransposedConvolution:
    case NetworkLayerType::kLinear:
    case NetworkLayerType::kBatchNorm:
    case NetworkLayerType::kLayerNorm:
    case NetworkLayerType::kEmbedding:
    case NetworkLayerType::kAttention:
    case NetworkLayerType::kLstm:
    case NetworkLayerType::kTables:
      return true;
    default:
      return std::any_of(layer.branches.begin(), layer.branches.end(), [](const std::vector<NetworkLayer>& branch) {
        return std::any_of(branch.begin(), branch.end(), trains);
      });
  }
}

constexpr std::int64_t kMostElements = std::int64_t{1} << 40;

NetworkLayer read_layer(const JsonReader& json, const Cursor& cursor) {
  const Type type = json.at("type").choice(kTypes);
  NetworkLayer layer{.type = type.type, .in = cursor.extent, .out = {}, .is_first = cursor.is_first, .branches = {}};
  type.read(json, layer);
  if (static_cast<double>(layer.out.channels) * static_cast<double>(layer.out.height) *
          static_cast<double>(layer.out.width) >
      static_cast<double>(kMostElements)) {
    json.fail("one sample is too large here to be meant", fmt::format("at most {} elements", kMostElements));
  }
  return layer;
}

// The layers that an element of a list stands for: itself, or `times` times those of a "repeat".
void read_element(const JsonReader& json, Cursor& cursor, std::vector<NetworkLayer>& out) {
  if (json.at("type").text() != "repeat") {
    out.push_back(read_layer(json, cursor));
    cursor = {.extent = out.back().out, .is_first = cursor.is_first && !trains(out.back())};
    return;
  }
  json.expect_keys({"type", "times", "layers"});
  const std::int64_t times = json.at("times").integer(1, ModelLimits::kLayers);
  for (std::int64_t i = 0; i < times; ++i) {
    const std::vector<NetworkLayer> layers = read_layers(json.at("layers"), cursor);
    if (layers.empty()) {
      json.at("layers").fail("there is nothing to repeat", "one layer and more");
    }
    out.insert(out.end(), layers.begin(), layers.end());
    if (out.size() > static_cast<std::size_t>(ModelLimits::kLayers)) {
      json.fail("there are too many layers to be meant", fmt::format("at most {}", ModelLimits::kLayers));
    }
  }
}

std::vector<NetworkLayer> read_layers(const JsonReader& json, Cursor& cursor) {
  std::vector<NetworkLayer> out;
  for (const JsonReader& element : json.elements()) {
    read_element(element, cursor, out);
  }
  return out;
}

Extent read_input(const JsonReader& json) {
  const std::vector<JsonReader> sizes = json.elements();
  if (sizes.size() != 1 && sizes.size() != 3) {
    json.fail("an input is features or an image", "[features], or [channels, height, width]");
  }
  Extent out{.channels = sizes[0].integer(1, ModelLimits::kHidden)};
  if (sizes.size() == 3) {
    out.height = sizes[1].integer(1, ModelLimits::kImageSide);
    out.width = sizes[2].integer(1, ModelLimits::kImageSide);
  }
  return out;
}

std::int64_t widest_of(const std::vector<NetworkLayer>& layers) {
  std::int64_t out = 0;
  for (const NetworkLayer& layer : layers) {
    // Gates of a recurrent layer; queries, keys and values; scores.
    const std::int64_t inner =
        layer.type == NetworkLayerType::kLstm ? 4 * layer.out.elements()
        : layer.type == NetworkLayerType::kAttention
            ? std::max(3 * layer.out.elements(), layer.heads * layer.in.positions() * layer.in.positions())
        : layer.type == NetworkLayerType::kInteraction ? layer.in.positions() * layer.in.positions()
                                                       : 0;
    out = std::max({out, layer.in.elements(), layer.out.elements(), inner});
    for (const std::vector<NetworkLayer>& branch : layer.branches) {
      out = std::max(out, widest_of(branch));
    }
  }
  return out;
}

}  // namespace

std::int64_t NetworkSpec::widest() const {
  std::int64_t out = input.elements();
  for (const NetworkUnit& unit : units) {
    out = std::max(out, widest_of(unit.layers));
  }
  return out;
}

bool NetworkSpec::has_tables() const {
  return table_lookups() > 0;
}

std::int64_t NetworkSpec::table_lookups() const {
  std::int64_t out = 0;
  for (const NetworkUnit& unit : units) {
    for (const NetworkLayer& layer : unit.layers) {
      out += layer.type == NetworkLayerType::kTables ? layer.tables * layer.lookups : 0;
    }
  }
  return out;
}

NetworkSpec read_network_spec(const JsonReader& json) {
  NetworkSpec network{.input = read_input(json.at("input")), .units = {}, .first_alike = {}};
  Cursor cursor{.extent = network.input};
  const JsonReader units = json.at("units");
  for (const JsonReader& element : units.elements()) {
    element.expect_keys({"name", "times", "layers"});
    const auto times = element.find("times");
    const auto name = element.find("name");
    for (std::int64_t i = times ? times->integer(1, ModelLimits::kLayers) : 1; i > 0; --i) {
      NetworkUnit unit{.name = name ? name->text() : fmt::format("unit {}", network.units.size() + 1),
                       .layers = read_layers(element.at("layers"), cursor)};
      if (unit.layers.empty()) {
        element.at("layers").fail("a unit without layers", "one layer and more");
      }
      const auto alike = std::find_if(network.units.begin(), network.units.end(),
                                      [&](const NetworkUnit& other) { return other.layers == unit.layers; });
      network.first_alike.push_back(alike - network.units.begin());
      network.units.push_back(std::move(unit));
      if (network.units.size() > static_cast<std::size_t>(ModelLimits::kLayers)) {
        units.fail("there are too many units to be meant", fmt::format("at most {}", ModelLimits::kLayers));
      }
    }
  }
  if (network.units.empty()) {
    units.fail("a network without units", "one unit and more");
  }
  if (cursor.is_first) {
    units.fail("nothing of the network trains", "a layer with parameters");
  }
  return network;
}

std::vector<std::string> network_layer_types() {
  return kTypes.names();
}

}  // namespace trainyard
