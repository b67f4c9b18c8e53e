#include "models/network_windows.hpp"

#include <fmt/format.h>

#include "models/model_reading.hpp"

namespace trainyard {
namespace {

struct Pair {
  std::int64_t height = 0;
  std::int64_t width = 0;
};

// A number for both sides, or [height, width].
Pair read_pair(const JsonReader& json, std::int64_t smallest, std::int64_t largest) {
  if (!json.value().is_array()) {
    const std::int64_t both = json.integer(smallest, largest);
    return {both, both};
  }
  const std::vector<JsonReader> sides = json.elements();
  if (sides.size() != 2) {
    json.fail("a size has one number or two", "a number, or [height, width]");
  }
  return {sides[0].integer(smallest, largest), sides[1].integer(smallest, largest)};
}

// Kernel, stride and padding of whatever slides over an image.
void read_window(const JsonReader& json, const Extent& in, NetworkLayer& layer) {
  const Pair kernel = read_pair(json.at("kernel"), 1, ModelLimits::kImageSide);
  layer.kernel_height = kernel.height;
  layer.kernel_width = kernel.width;
  const auto stride = json.find("stride");
  layer.stride = stride ? stride->integer(1, ModelLimits::kImageSide) : 1;
  if (const auto padding = json.find("padding")) {
    const Pair pad = read_pair(*padding, 0, ModelLimits::kImageSide);
    layer.pad_height = pad.height;
    layer.pad_width = pad.width;
  }
  if (layer.type == NetworkLayerType::kTransposedConvolution) {
    return;
  }
  if (in.height + 2 * layer.pad_height < kernel.height || in.width + 2 * layer.pad_width < kernel.width) {
    json.at("kernel").fail("the kernel is larger than what it slides over",
                           fmt::format("at most {} x {}, with its padding", in.height + 2 * layer.pad_height,
                                       in.width + 2 * layer.pad_width));
  }
}

Extent slid(const NetworkLayer& layer, std::int64_t channels) {
  return {.channels = channels,
          .height = (layer.in.height + 2 * layer.pad_height - layer.kernel_height) / layer.stride + 1,
          .width = (layer.in.width + 2 * layer.pad_width - layer.kernel_width) / layer.stride + 1};
}

void read_groups(const JsonReader& json, NetworkLayer& layer, std::int64_t filters) {
  const auto groups = json.find("groups");
  layer.groups = groups ? groups->integer(1, ModelLimits::kHidden) : 1;
  if (layer.in.channels % layer.groups != 0 || filters % layer.groups != 0) {
    groups->fail("groups share out the channels and the filters",
                 fmt::format("a divisor of {} channels and of {} filters", layer.in.channels, filters));
  }
}

}  // namespace

bool read_bias(const JsonReader& json, bool otherwise) {
  const auto found = json.find("bias");
  return found ? found->boolean() : otherwise;
}

void read_convolution(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "filters", "kernel", "stride", "padding", "groups", "bias"});
  const std::int64_t filters = json.at("filters").integer(1, ModelLimits::kHidden);
  read_window(json, layer.in, layer);
  read_groups(json, layer, filters);
  layer.bias = read_bias(json, false);
  layer.out = slid(layer, filters);
}

// One filter, or several, for each channel.
void read_depthwise(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "multiplier", "kernel", "stride", "padding", "bias"});
  const auto multiplier = json.find("multiplier");
  const std::int64_t filters = layer.in.channels * (multiplier ? multiplier->integer(1, ModelLimits::kHidden) : 1);
  read_window(json, layer.in, layer);
  layer.groups = layer.in.channels;
  layer.bias = read_bias(json, false);
  layer.out = slid(layer, filters);
}

void read_transposed(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "filters", "kernel", "stride", "padding", "bias"});
  const std::int64_t filters = json.at("filters").integer(1, ModelLimits::kHidden);
  read_window(json, layer.in, layer);
  layer.bias = read_bias(json, true);
  layer.out = {.channels = filters,
               .height = (layer.in.height - 1) * layer.stride - 2 * layer.pad_height + layer.kernel_height,
               .width = (layer.in.width - 1) * layer.stride - 2 * layer.pad_width + layer.kernel_width};
  if (layer.out.height < 1 || layer.out.width < 1) {
    json.at("padding").fail("nothing is left of the output", "a padding below half of what is written");
  }
}

void read_pool(const JsonReader& json, NetworkLayer& layer) {
  json.expect_keys({"type", "kernel", "stride", "padding"});
  read_window(json, layer.in, layer);
  layer.out = slid(layer, layer.in.channels);
}

}  // namespace trainyard
