#include "sim/scenario/offload.hpp"

#include <fmt/format.h>

namespace trainyard {

OffloadOptions read_offload(const JsonReader& json) {
  json.expect_keys({"optimizer", "activations", "weights", "prefetch"});
  const auto share = [&json](std::string_view key, double otherwise) {
    const auto found = json.find(key);
    return found ? found->number(0.0, 1.0) : otherwise;
  };
  OffloadOptions offload;
  offload.activations = share("activations", 0.0);
  offload.weights = share("weights", 0.0);
  offload.optimizer = share("optimizer", offload.weights);
  if (const auto prefetch = json.find("prefetch")) {
    offload.prefetch = prefetch->boolean() ? CopyAhead::kOn : CopyAhead::kOff;
  }
  if (offload.optimizer < offload.weights) {
    json.at("optimizer")
        .fail("weights on the host are updated there", fmt::format("{} to 1, as weights says", offload.weights));
  }
  return offload;
}

Json offload_json(const OffloadOptions& offload) {
  return {{"optimizer", offload.optimizer},
          {"activations", offload.activations},
          {"weights", offload.weights},
          {"prefetch", offload.prefetch == CopyAhead::kOn}};
}

}  // namespace trainyard
