#pragma once
// Networks of the catalogue under the names that tables of measured runs give them.
#include <optional>
#include <string>
#include <string_view>

namespace trainyard {

// The catalogue's name of "ResNet-50 v1.5", "ConvNets/resnet50v1.5", "RN50v1.5", "InceptionV3", ...; nothing for what
// is no network of the catalogue.
std::optional<std::string> network_named(std::string_view text);

}  // namespace trainyard
