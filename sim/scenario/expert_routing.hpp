#pragma once
// How tokens spread over experts: the routing that a mixture-of-experts layer is simulated with.
#include <cstdint>
#include <optional>
#include <vector>

#include "models/operators.hpp"
#include "sim/base/json_reader.hpp"

namespace trainyard {

enum class RoutingKind {
  kUniform,  // every expert gets the mean
  kZipf,     // the i-th most popular expert gets a share proportional to 1 / i^exponent
  kCounts    // measured token counts, one per expert
};

// What becomes of the room that tokens leave in an expert's capacity: zeros travel and are computed, or nothing does
// and a capacity only drops what is above it. Source: Megatron-LM, core/transformer/transformer_config.py,
// moe_pad_expert_input_to_capacity.
enum class CapacityPadding { kOn, kOff };

struct ExpertRouting {
  RoutingKind kind = RoutingKind::kUniform;
  double exponent = 0.0;                  // of kZipf
  std::vector<double> counts;             // of kCounts
  std::optional<double> capacity_factor;  // tokens an expert takes at most over the mean; nothing: dropless
  CapacityPadding padding = CapacityPadding::kOn;
  TokenDispatcher dispatcher = TokenDispatcher::kAllToAll;
};

// The section training.experts of a scenario:
//   {"routing": "uniform" | {"zipf": 0.5} | {"counts": [..one per expert..]}, "capacity_factor": 1.25,
//    "pad_to_capacity": true, "dispatcher": "all_to_all" | "all_gather" | "deep_ep"}
// Throws UserError. `experts` is the model's number of routed experts.
ExpertRouting read_expert_routing(const JsonReader& json, std::int64_t experts);
Json expert_routing_json(const ExpertRouting& routing);

// Share of all routed tokens that each expert gets; they sum to one. Popularity is dealt out to the experts at random
// (`seed`), because experts have no order; counts stay where they are. A capacity cuts what an expert gets, and the
// rest is dropped (the shares then sum to less).
std::vector<double> expert_shares(const ExpertRouting& routing, std::int64_t experts, std::uint64_t seed);

}  // namespace trainyard
